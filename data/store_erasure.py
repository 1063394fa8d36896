"""Rows that hold a person's or a thread's text: find them, blank them, and name the adapters that learned from them."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from sqlite_utils import Database

from data.models import BASE, SHARED, Message, Promotion, Task
from data.permalink import parse_permalink
from data.scrubbing import USER, Found, fold, holds, scrub, stands_in
from data.store_chain import link
from data.store_connection import dumps, immediate, new_id, now, rows
from data.store_ledger import adapters, append_promotion, promotions, standing
from data.store_texts import tables
from data.store_tunings import learned_tunings, leave_tunings

SHORTEST, SENTENCE = 20, 40
"""Characters of a said text by which its copies are looked for, and of a customer's sentence by which quotes of it are;
shorter ones are said by anybody."""
CHAINED = ("ledger_chain", "adapters", "promotions")
"""Tables that name no person, and whose rows are never changed."""
COMMON = 2
"""Other threads that may hold the same text before it counts as a set phrase, which gives nobody away."""


def record_people(db: Database, suggestion_id: str, user_ids: Iterable[str]) -> None:
    """Remember who spoke in what a suggestion was drafted from."""
    said = [(suggestion_id, user_id) for user_id in sorted(set(user_ids)) if user_id]
    db.conn.executemany("insert or ignore into suggestion_people (suggestion_id, user_id) values (?, ?)", said)


def find_thread(db: Database, name: str) -> Found:
    """A thread by its id, by CHANNEL/TS, by the permalink of any message in it, or by an imported ticket's id."""
    if link := parse_permalink(name):
        name = f"{link.channel_id}/{link.thread_ts}"
    channel, _, ts = name.rpartition("/")
    threads = {
        one["id"]
        for one in rows(
            db,
            """
            select id from threads
            where id = :name or id = 'history/' || :name or (channel_id = :channel and thread_ts = :ts)
            """,
            {"name": name, "channel": channel.rpartition("/")[2], "ts": ts},
        )
    }
    return _whole(db, Found(threads=threads))


def find_person(db: Database, name: str) -> Found:
    """A person by a Slack user id, or by a name, mail address or any other text that stands for nobody else.

    However it is written: in capitals or not, accents as one sign or as two.
    """
    if USER.fullmatch(name):
        found = Found(user=name, alias=f"erased-{new_id()[:12]}")
        spoke = """
            select s.thread_id from suggestions s left join decisions d on d.suggestion_id = s.id
            where :name in (s.requested_by, d.decided_by)
               or s.id in (select suggestion_id from suggestion_people where user_id = :name)
            """
        found.threads = {one["thread_id"] for one in rows(db, spoke, {"name": name}) if one["thread_id"]}
    else:
        found = Found(texts={name}, name=name)
    return _whole(db, replace(found, threads=found.threads | _threads_that_say(db, name)))


def _threads_that_say(db: Database, name: str) -> set[str]:
    said = rows(
        db,
        """
        select thread_id, messages || coalesce(target, '') as text from history_pairs where messages is not null
        union all
        select thread_id, name from known_names
        union all
        select s.thread_id, coalesce(s.messages, '') || ' ' || coalesce(s.draft, '') || ' ' || s.request || ' '
            || coalesce(d.text, '') || ' ' || coalesce(d.reason, '')
        from suggestions s
        left join decisions d on d.suggestion_id = s.id
        """,
    )
    return {one["thread_id"] for one in said if one["thread_id"] and holds(one["text"], [name])}


def _whole(db: Database, found: Found) -> Found:
    """All rows of these threads, what was said in them, and every other row that holds that."""
    named = set(found.texts)
    in_threads = f"thread_id in ({_marks(found.threads)})"
    threads = sorted(found.threads)
    suggestions = rows(
        db,
        f"""
        select s.id, s.messages, s.draft, s.request, d.text from suggestions s
        left join decisions d on d.suggestion_id = s.id where {in_threads}
        """,
        threads,
    )
    history = rows(db, f"select id, messages, target as draft from history_pairs where {in_threads}", threads)
    found.suggestions |= {one["id"] for one in suggestions}
    found.history |= {one["id"] for one in history}
    sentences: set[str] = set()
    for one in (*suggestions, *history):
        turns = _turns(json.loads(one["messages"] or "[]"))
        said = [one["draft"], one.get("text"), *(text for _, text in turns)]
        found.texts |= {text.strip() for text in said if text and len(text.strip()) >= SHORTEST}
        sentences.update(part for speaker, text in turns if speaker == "Customer" for part in _long_sentences(text))
    found.texts |= _not_in_help_centre(db, sentences)
    # Examples of these threads in the prompts of others, and summaries of channels that they lie in.
    pairs = sorted(found.pairs)
    copied = rows(db, f"select suggestion_id from suggestion_sources where pair_id in ({_marks(pairs)})", pairs)
    others = rows(
        db,
        """
        select id, thread_id, messages, coalesce(draft, '') as draft, 'suggestion' as source from suggestions
        where messages is not null
        union all
        select id, thread_id, messages, target, 'history' from history_pairs where messages is not null
        """,
    )
    others = [one for one in others if one["id"] not in found.pairs]
    said_by_others = [fold(f"{one['messages']}\n{one['draft']}") for one in others]
    for text in sorted(found.texts):
        holders = [one for one, said in zip(others, said_by_others, strict=True) if stands_in(said, text)]
        if len({one["thread_id"] for one in holders}) > COMMON and text not in named:
            found.texts.discard(text)
            continue
        found.suggestions |= {one["id"] for one in holders if one["source"] == "suggestion"}
        found.history |= {one["id"] for one in holders if one["source"] == "history"}
    found.suggestions |= {one["suggestion_id"] for one in copied}
    documents = sorted(documents_with(db, found.texts))
    chunks = rows(
        db,
        f"""
        select c.id from chunks c join documents d on d.id = c.document_id where d.source in ({_marks(documents)})
        """,
        documents,
    )
    found.chunks = {one["id"] for one in chunks}
    # A fact that was asked for stands in no text of hers as it was asked.
    recited = rows(
        db,
        """
        select r.value ->> 'question' as question, r.value ->> 'chunk_id' as chunk_id
        from gate_reports, json_each(report, '$.recited') r
        """,
    )
    found.texts |= {one["question"] for one in recited if one["chunk_id"] in found.chunks and one["question"]}
    return found


def _turns(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Who (Customer, Agent) said what in the thread of a prompt, without its passages and examples."""
    if not messages:
        return []
    _, mark, thread = messages[-1]["content"].partition("Conversation:\n")
    if not mark:
        return [("", messages[-1]["content"].rpartition("Question: ")[2])]
    parts = ["", *re.split(r"(?:^|\n)(Customer|Agent): ", thread)]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _long_sentences(text: str) -> list[str]:
    parts = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text)]
    return [part for part in parts if len(part) >= SENTENCE]


def _not_in_help_centre(db: Database, sentences: Iterable[str]) -> set[str]:
    """What stands in the help centre, too, is quoted from there."""
    documents = "\n".join(fold(one["text"]) for one in rows(db, "select text from documents"))
    return {one for one in sentences if fold(one) not in documents}


def comments_with(db: Database, texts: Iterable[str]) -> int:
    """How many supervisors' comments hold one of these texts: they go, and what they are about stays."""
    comments = rows(db, "select text from rating_comments where text is not null")
    return sum(holds(one["text"], texts) for one in comments)


def documents_with(db: Database, texts: Iterable[str]) -> list[str]:
    """The sources of help-centre documents that hold one of these texts."""
    documents, looked_for = rows(db, "select source, title, text from documents"), list(texts)
    return [one["source"] for one in documents if holds(f"{one['title']}\n{one['text']}", looked_for)]


def blank(db: Database, found: Found, *, kind: str) -> tuple[list[str], int]:
    """Blank the rows' texts, as purge does; returns the adapters and the number of tunings of search that learned them.

    Those tunings serve no more from now on; adapters leave with `leave_erased`.
    """
    ids, pairs = _marks(found.suggestions), _marks(found.pairs)
    suggestions, all_pairs, threads = sorted(found.suggestions), sorted(found.pairs), sorted(found.threads)
    erasure_id = new_id()
    with immediate(db):
        for table in ("decisions", "rating_comments"):
            db.execute(f"update {table} set text = null where suggestion_id in ({ids})", suggestions)
        db.execute(f"update decisions set reason = null where suggestion_id in ({ids})", suggestions)
        db.execute(f"update ratings set seen_sha256 = null where suggestion_id in ({ids})", suggestions)
        db.execute(f"update drafted_from set said = null where suggestion_id in ({ids})", suggestions)
        db.execute(
            f"""
            update suggestions set messages = null, draft = null, request = '{{}}', error = null,
                state = case when state in ('requested', 'drafted') then 'failed' else state end
            where id in ({ids})
            """,
            suggestions,
        )
        db.execute(f"delete from suggestion_people where suggestion_id in ({ids})", suggestions)
        db.execute(
            f"update history_pairs set messages = null, target = null where id in ({_marks(found.history)})",
            sorted(found.history),
        )
        db.execute(f"delete from examples_fts where pair_id in ({pairs})", all_pairs)
        db.execute(
            f"update written_cases set before_text = null, after_text = null where pair_id in ({pairs})", all_pairs
        )
        db.execute(f"delete from known_names where thread_id in ({_marks(found.threads)})", threads)
        for text in found.texts:
            db.execute("delete from known_names where name = ? collate nocase", [text])
        _scrub_rows(db, found)
        for source in documents_with(db, found.texts):
            db.execute("delete from documents where source = ?", [source])
        for one in rows(db, "select id, title, text from retired_chunks"):
            if holds(f"{one['title']}\n{one['text']}", found.texts):
                db.execute("delete from retired_chunks where id = ?", [one["id"]])
        learned = [
            one["adapter"]
            for one in rows(
                db, f"select distinct adapter from adapter_pairs where pair_id in ({pairs}) order by adapter", all_pairs
            )
        ]
        tunings = learned_tunings(db, suggestions)
        counts = {"suggestions": len(suggestions), "history_pairs": len(found.history), "adapters": learned}
        counts["tunings"] = len(tunings)
        db.execute(
            "insert into erasures (id, kind, counts, created_at) values (?, ?, ?, ?)",
            [erasure_id, kind, dumps(counts), now()],
        )
        db.conn.executemany(
            "insert or ignore into erased_adapters (adapter, erasure_id) values (?, ?)",
            [(adapter, erasure_id) for adapter in learned],
        )
        leave_tunings(db, tunings, erasure_id)
        if found.user:
            _rename(db, found)
    # Words that no row has any more stay in an index until it is written anew, and in the log until it is emptied.
    for index in ("examples_fts", "chunks_fts"):
        db.execute(f"insert into {index} ({index}) values ('optimize')")
    db.conn.execute("vacuum")
    db.conn.execute("pragma wal_checkpoint(truncate)").fetchall()
    return learned, len(tunings)


def _scrub_rows(db: Database, found: Found) -> None:
    """Reports, comments and what else quotes people: the text out of each, by what it says and by whose it is."""
    for table, key, column in (
        ("gate_reports", "id", "report"),
        ("gap_events", "id", "article"),
        ("runs", "id", "facts"),
        ("trial_outcomes", "promotion_id", "report"),
        ("search_tunings", "id", "report"),
    ):
        for one in rows(db, f"select {key} as id, {column} as value from {table} where {column} is not null"):
            if (scrubbed := scrub(json.loads(one["value"]), found)) is not None:
                db.execute(f"update {table} set {column} = ? where {key} = ?", [dumps(scrubbed), one["id"]])
                if table == "gate_reports":
                    link(db, "gate_report", one["id"])
    for table, column in (
        ("rating_comments", "text"),
        ("decisions", "reason"),
        ("written_cases", "before_text"),
        ("written_cases", "after_text"),
        ("runs", "error"),
        ("suggestions", "error"),
    ):
        for one in rows(db, f"select distinct {column} as text from {table} where {column} is not null"):
            if holds(one["text"], found.texts):
                db.execute(f"update {table} set {column} = null where {column} = ?", [one["text"]])


def _rename(db: Database, found: Found) -> None:
    """Put the alias in the place of the user's id, in every column of every table: counts and caps stay true."""
    for table in tables(db):
        if table in CHAINED:
            continue
        for column in rows(db, "select name from pragma_table_info(?)", [table]):
            db.execute(
                f'update "{table}" set "{column["name"]}" = ? where "{column["name"]}" = ?',
                [found.alias, found.user],
            )


def erased_adapters(db: Database) -> frozenset[str]:
    """The adapters that learned from a text which was erased since."""
    return frozenset(one["adapter"] for one in rows(db, "select adapter from erased_adapters"))


def leave_erased(db: Database) -> list[Promotion]:
    """Take the marked adapters out of service, each for the newest standing one that is not marked, else the base; a
    team's for what all share.

    Returns the promotions that did it.
    """
    made: list[Promotion] = []
    with immediate(db):
        marked = erased_adapters(db)
        for one in rows(db, "select distinct task, base, team from promotions"):
            task: Task = one["task"]
            base, team = one["base"], one["team"]
            kept = {BASE, SHARED} | {a.name for a in adapters(db) if a.name not in marked and Path(a.path).is_dir()}
            stands = [name for name in standing(db, task, base, team) if name in kept]
            if promotions(db, task, base, team)[-1].adapter in marked:
                target = stands[-1] if stands else SHARED if team else BASE
                made.append(append_promotion(db, task=task, base=base, adapter=target, cause="rollback", team=team))
    return made


def record_backup(db: Database, path: str) -> None:
    """Remember where a backup lies, so that an erasure finds it."""
    db.execute("insert or replace into backups (path, created_at) values (?, ?)", [path, now()])


def backups(db: Database) -> list[str]:
    """Where backups were written, oldest first."""
    return [one["path"] for one in rows(db, "select path from backups order by created_at")]


def _marks(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)
