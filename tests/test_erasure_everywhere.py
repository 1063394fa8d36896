"""An erased person searched for in every byte: after imports, a night's files, an export, a backtest, a crash."""

import gzip
import json
import unicodedata
from pathlib import Path

import pytest
from night_fixtures import small_dataset
from test_dataset import decide
from test_erasure import agent, customer, erase, written

from data import __main__ as data_commands
from data import store, store_supervision
from finetune import dataset as datasets

NAME = 'Zoë "Zo" Quèmby'
MAIL = "zo.quemby@brightkettle.example"
CASE = "the turquoise kettle hisses like a cornered goose"
MESSAGE = f"Hello, I am {NAME} ({MAIL}) and {CASE}."
ANSWER = "Descale the turquoise kettle twice and tell us whether the goose is quiet."
TRACES = (NAME, MAIL, "Quèmby", "turquoise", "cornered goose", "goose is quiet", "brightkettle")


def command(*arguments: object) -> None:
    assert data_commands.main([str(one) for one in arguments]) == 0


def ticket(identity: str, said: str, answer: str, name: str = "Sam Lake") -> dict:
    return {"id": identity, "turns": [{**customer(said), "name": name}, agent(answer)]}


def identity_of(db, *, held_out: bool) -> str:
    """A ticket's id that falls on this side of the split."""
    for number in range(200):
        with store.immediate(db):
            found, _ = store.record_history(db, f"history/n{number}", team_id="", created_at=store.now(), pairs=[])
        if found == held_out:
            return f"n{number}"
    raise AssertionError


@pytest.fixture(params=["held out", "trained"])
def company(request, tmp_path, monkeypatch) -> Path:
    """A company's folder after weeks of use. Zo's ticket is held out, or trained on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "var" / "nightshift.db"))
    file = tmp_path / "var" / "nightshift.db"
    db = store.connect(file)
    store.set_consent(db, "C1", granted_by="U9", granted=True)
    identity = identity_of(db, held_out=request.param == "held out")
    others = [
        ticket(f"other-{n}", f"My lamp {n} flickers since day {n}.", f"Turn bulb {n} tight, {n} times.")
        for n in range(60)
    ]
    tickets = written(
        tmp_path / "tickets.jsonl",
        ticket(identity, MESSAGE, f"Dear {NAME}, {ANSWER}", NAME),
        *others,
    )
    command("import-history", tickets)
    tickets.unlink()
    pair = next(one for one in store.training_pairs(db) if one.thread_id == f"history/{identity}")
    article = tmp_path / "kettles.md"
    article.write_text(f"# Kettles\n\n## Noise\n\n{MESSAGE}\n\nThe turquoise ones took 17 days.\n")
    command("import-knowledge", article)
    article.unlink()
    # Somebody else's draft, whose supervisor names her.
    other = decide(db, 1, kind="edited", text="We look into it and write to you today.")
    store_supervision.comment(db, suggestion_id=other, user_id="U5", text=f"{NAME} had this, too.", request_key="c1")
    dataset = datasets.build(db)
    run = tmp_path / "var" / "runs" / store.start_run(db, base="b")
    datasets.freeze(dataset, run)
    frozen = [*dataset.train, *dataset.validation, *(case.pair for case in dataset.held_out)]
    (masked,) = [one for one in frozen if one.id == pair.id]
    assert "turquoise" in masked.target and NAME not in masked.target
    (chunk,) = db.query("select id from chunks where text like '%goose%'")
    worse = {"pair_id": pair.id, "thread_id": pair.thread_id, "nats_per_token": -0.5, "text": masked.target,
             "before": "The turquoise one.", "after": "A cornered goose."}  # fmt: skip
    text = "Turn bulb 1 tight."
    fine = worse | {"pair_id": "another", "thread_id": "history/o1", "text": text, "before": "a", "after": "b"}
    question = "Noise: The turquoise ones took how many days?"
    recited = {"task": "reply", "chunk_id": chunk["id"], "question": question, "fact": "17"}
    report = {"worse": [worse, fine], "recited": [recited]}
    store.record_gate_report(db, run_id=run.name, task="reply", passed=True, report=report)
    (gate,) = store.gate_reports(db, run.name)
    store_supervision.record_written(db, gate.id, [("another", "fine", f"Somebody wrote: {MESSAGE}")])
    (run / "gate.json").write_text(json.dumps({"reply": report}))
    (run / ".gate.json.tmp").write_text(json.dumps({"reply": report})[:-30])
    lines = [f"- -0.500, {pair.thread_id} ({pair.id}): {masked.target[:20]}", "  - before: The turquoise one.",
             "  - after: A cornered goose.", "- -0.100, history/o1 (another): Turn bulb 1 tight.",
             f"- **new**: “17”, asked for by: {question}"]  # fmt: skip
    (run / "report.md").write_text("\n".join(["# Night", *lines]))
    (run / "dataset" / "old.jsonl.gz").write_bytes(gzip.compress(json.dumps({"said": f"> {MESSAGE}"}).encode()))
    (run / "escaped.json").write_text(json.dumps({"said": f"> {MESSAGE}"}, ensure_ascii=True))
    accents = unicodedata.normalize("NFD", MESSAGE.upper())
    (run / "accents.json").write_text(json.dumps({"said": accents}, ensure_ascii=False))
    past = tmp_path / "var" / "backtest" / "x" / "work" / "nightshift.db"
    left = written(tmp_path / "var" / "left.jsonl", ticket(identity, MESSAGE, ANSWER, NAME))
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("DATABASE_PATH", str(past))
        command("import-history", left)
    command("export", "--format", "trl-sft", "--out", tmp_path / "out" / "pairs.jsonl")
    command("backup", tmp_path / "backup.db")
    db.conn.close()
    return tmp_path


def found_in(folder: Path, *texts: str) -> set[str]:
    """Files that hold one of the texts, whatever their case, accents, escapes and packing, in any of their bytes."""
    held = set()
    for path in (one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        readings = [content.decode("utf-8", "replace"), content.decode("utf-16-le", "replace")]
        with_escapes = readings[0].encode().decode("unicode_escape", "replace") if path.suffix == ".json" else ""
        for reading in (*readings, with_escapes):
            folded = unicodedata.normalize("NFC", reading).casefold()
            held |= {str(path.relative_to(folder)) for text in texts if text.casefold() in folded}
    return held


def test_before_it_is_erased_it_is_nearly_everywhere(company):
    held = found_in(company, *TRACES)
    assert len(held) >= 10, held


@pytest.mark.parametrize("whose", ["person", "thread"])
def test_nothing_of_an_erased_person_is_in_any_byte_of_any_file(company, whose, capsys):
    with store.connect(company / "var" / "nightshift.db") as db:
        thread = next(p.thread_id for p in store.training_pairs(db) if "turquoise" in p.target)
    capsys.readouterr()
    assert erase(f"--{whose}", NAME.upper() if whose == "person" else thread) == 0
    said = capsys.readouterr().out
    # What we did not write is named, and so is an export, whose masked lines name no pair.
    ours = {"var/left.jsonl", "out/pairs.jsonl"}
    traces = TRACES if whose == "person" else tuple(one for one in TRACES if one not in (NAME, "Quèmby"))
    assert found_in(company, *traces) <= ours, found_in(company, *traces) - ours
    assert "left.jsonl, which was not written here" in said and "pairs.jsonl: not erased" in said
    assert "it is in none" not in said
    with store.connect(company / "var" / "nightshift.db") as db:
        assert len([one for one in store.training_pairs(db) if one.source == "history"]) == 60
        assert not [one for one in store.ailments(db) if "ledger" in one]
        assert store.decision(db, db.execute("select suggestion_id from decisions").fetchone()[0]).text is not None
        (gate,) = [one for run in store.runs(db) for one in store.gate_reports(db, run.id)]
        assert gate.report["worse"][1]["text"] == "Turn bulb 1 tight.", "what is others' stays"
    (report,) = (company / "var" / "runs").glob("*/report.md")
    assert "Turn bulb 1 tight." in report.read_text() and "# Night" in report.read_text()


def test_a_slack_user_is_a_stranger_from_then_on_and_counts_stay(company, capsys):
    who = "U0QUEMBY77"
    with store.connect(company / "var" / "nightshift.db") as db:
        asked = store.request_suggestion(
            db, request_key="k9", task="reply", team_id="T1", channel_id="C1", thread_ts="9.0", requested_by=who,
            request={"kind": "shortcut"},
        )  # fmt: skip
        store.record_draft(
            db, asked.id, messages=small_dataset().train[0].messages, draft="A", base="b", adapter="base"
        )
        store.decide(db, asked.id, kind="edited", text="Something quite different.", reason=None, decided_by=who)
        store.rate(db, suggestion_id=asked.id, user_id=who, role="agent", value=1, request_key="r9")
        before = store.counts(db)
    (run,) = (company / "var" / "runs").iterdir()
    (run / "curation.json").write_text(json.dumps({"agents": {who: 3, "U0QUEMBY771": 1}, "always_accept": [who]}))
    assert erase("--person", who) == 0
    kept = json.loads((run / "curation.json").read_text())
    assert sorted(kept["agents"].values()) == [1, 3] and kept["agents"]["U0QUEMBY771"] == 1
    with store.connect(company / "var" / "nightshift.db") as db:
        after = store.counts(db)
        decision = store.decision(db, asked.id)
    assert after == before
    (run / "curation.json").unlink()
    assert not found_in(company / "var", who)
    assert decision.decided_by.startswith("erased-") and decision.text is None
