"""import-history of what other programs export: tables, Zendesk's tickets, Intercom's conversations."""

import gzip
import json
import logging

import pytest

from data import __main__ as command_line
from data import store
from data.errors import BadFile
from data.exports.messages import html_text
from data.history import import_history


def texts(db):
    """What was asked last and what was answered, of each pair."""
    return [
        (pair.messages[-1]["content"].split("Conversation:\n")[1], pair.target) for pair in store.training_pairs(db)
    ]


def comment(author, body, **more):
    return {"type": "Comment", "author_id": author, "body": body, "public": True, **more}


def ticket(number=7, **more):
    return {
        "id": number,
        "requester_id": 100,
        "submitter_id": 100,
        "assignee_id": 5,
        "status": "closed",
        "updated_at": "2026-02-01T10:00:00Z",
        "comments": [
            comment(100, "My brake squeals.", created_at="2026-01-01T10:00:00Z"),
            comment(5, "Ask Jo first", created_at="2026-01-01T10:05:00Z", public=False),
            comment(-1, "Ticket merged", created_at="2026-01-01T10:06:00Z"),
            comment(
                5,
                "Wipe the disc.",
                created_at="2026-01-01T10:10:00Z",
                html_body="<div><p>Wipe the <b>disc</b>:</p><ul><li>with alcohol</li><li>dry</li></ul></div>",
            ),
        ],
        **more,
    }


def conversation(number="9", **more):
    return {
        "type": "conversation",
        "id": number,
        "created_at": 1767261600,
        "updated_at": 1769940000,
        "source": {"body": "<p>My brake squeals.</p>", "author": {"type": "lead", "id": "a"}},
        "conversation_parts": {
            "conversation_parts": [
                {
                    "part_type": "comment",
                    "body": "<p>Typically we reply in a day.</p>",
                    "author": {"type": "bot", "id": "b"},
                    "created_at": 1767261601,
                },
                {
                    "part_type": "note",
                    "body": "<p>Ask Jo first</p>",
                    "author": {"type": "admin", "id": "c"},
                    "created_at": 1767261602,
                },
                {
                    "part_type": "assignment",
                    "body": None,
                    "author": {"type": "admin", "id": "c"},
                    "created_at": 1767261603,
                },
                {
                    "part_type": "comment",
                    "body": "<p>Wipe the disc.<br>Then ride.</p>",
                    "author": {"type": "admin", "id": "c"},
                    "created_at": 1767261604,
                },
            ]
        },
        **more,
    }


def test_a_zendesk_tickets_public_comments_become_pairs(db, tmp_path):
    (tmp_path / "t.json").write_text("\n".join(json.dumps(ticket(number)) for number in (7, 8)))
    counts = import_history(db, tmp_path / "t.json")
    assert (counts["conversations"], counts["reply"], counts["notes"], counts["skipped"]) == (2, 2, 2, 0)
    assert texts(db)[0] == ("Customer: My brake squeals.", "Wipe the disc:\n\n- with alcohol\n- dry")
    assert store.training_pairs(db)[0].created_at.startswith("2026-02-01T10:00:00")
    assert {p.thread_id for p in store.training_pairs(db)} == {"history/zendesk-7", "history/zendesk-8"}


def test_who_asks_in_zendesk_is_known_by_the_ticket_and_by_the_users_beside_it(db, tmp_path):
    comments = [
        comment(100, "It squeals."),
        comment(200, "For me too."),
        comment(300, "And for us."),
        comment(5, "Wipe it."),
        comment(6, "And dry it."),
    ]
    users = [{"id": 300, "role": "end-user"}, {"id": 6, "role": "admin"}, {"id": 100, "role": "agent"}]
    document = {"tickets": [ticket(comments=comments, email_cc_ids=[200])], "users": users}
    (tmp_path / "t.json").write_text(json.dumps(document, indent=1))
    import_history(db, tmp_path / "t.json")
    asked = "Customer: It squeals.\nCustomer: For me too.\nCustomer: And for us."
    assert texts(db) == [(asked, "Wipe it.\nAnd dry it.")]


def test_an_intercom_conversation_becomes_pairs_without_its_notes_and_bots(db, tmp_path):
    document = {"type": "conversation.list", "conversations": [conversation()]}
    (tmp_path / "c.json").write_text(json.dumps(document))
    counts = import_history(db, tmp_path / "c.json")
    assert (counts["reply"], counts["notes"]) == (1, 1)
    assert texts(db) == [("Customer: My brake squeals.", "Wipe the disc.\nThen ride.")]
    assert store.training_pairs(db)[0].created_at.startswith("2026-02-01T10:00:00")


def test_tickets_and_conversations_of_the_same_number_are_two_threads(db, tmp_path):
    (tmp_path / "both.jsonl").write_text(json.dumps(ticket(1)) + "\n" + json.dumps(conversation("1")))
    counts = import_history(db, tmp_path / "both.jsonl")
    assert (counts["new"], counts["reply"]) == (2, 2)
    again = import_history(db, tmp_path / "both.jsonl")
    assert (again["known"], again["new"], again["reply"]) == (2, 0, 0)


def test_a_table_has_one_message_in_each_row(db, tmp_path):
    rows = [
        "Ticket ID;Role;Message;Created At;Private",
        'a;customer;"It squeals;\nsince Monday";2026-01-01T10:00:00Z;no',
        "b;End-User;Where is my bike?;2026-01-02T10:00:00Z;",
        "a;agent;Ask Jo;2026-01-01T10:01:00Z;yes",
        "b;agent;On its way.;2026-01-02T10:20:00Z;",
        "a;agent;Wipe the disc.;2026-01-01T10:02:00Z;no",
    ]
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress("\r\n".join(rows).encode("utf-8-sig")))
    counts = import_history(db, tmp_path / "t.csv.gz")
    assert (counts["conversations"], counts["reply"], counts["notes"]) == (2, 2, 1)
    assert texts(db) == [
        ("Customer: It squeals; since Monday", "Wipe the disc."),
        ("Customer: Where is my bike?", "On its way."),
    ]
    assert import_history(db, tmp_path / "t.csv.gz")["reply"] == 0


def test_rows_and_records_that_cannot_be_used_are_named_and_the_rest_is_imported(db, tmp_path, caplog):
    (tmp_path / "t.csv").write_text("id,role,text\na,customer,Hi\na,robot,beep\n,agent,Hello\na,agent,Hello\n")
    bad = [
        {**ticket(), "comments": None},
        {**ticket(), "status": "deleted"},
        {**conversation(), "conversation_parts": None},
        {**conversation(), "id": None, "conversation_parts": [{"part_type": "comment", "body": "x"}]},
        "text",
    ]
    (tmp_path / "t.json").write_text(json.dumps([*bad, ticket(), conversation()]))
    with caplog.at_level(logging.WARNING):
        assert import_history(db, tmp_path / "t.csv")["skipped"] == 2
        counts = import_history(db, tmp_path / "t.json")
    assert (counts["skipped"], counts["reply"]) == (len(bad), 2)
    for said in (
        "row 3 skipped: its role",
        "row 4 skipped: it names no",
        'record 1 skipped: the ticket has no list of "c',
    ):
        assert said in caplog.text
    for number in range(1, len(bad) + 1):
        assert f"record {number} skipped" in caplog.text
    assert "beep" not in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "a,b,c\n1,2,3\n", "has no column id"),
        ("t.csv", "id,role,text\n", "holds no conversation"),
        ("t.json", '[{"id": 1,\n', "no whole JSON document"),
        ("t.json", '{"tickets": []}', "holds no conversation"),
    ],
)
def test_a_file_that_is_no_export_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys, name, content, message):
    (tmp_path / name).write_text(content)
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "nightshift.db"))
    assert command_line.main(["import-history", str(tmp_path / name)]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert str(tmp_path / name) in error


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>Hi&nbsp;there,</p><p>it works &amp; I am glad</p>", "Hi there,\n\nit works & I am glad"),
        ('<div>New</div><div class="gmail_quote"><div>On Monday wrote: old</div></div>', "New"),
        ("<p>New</p><blockquote type='cite'>old</blockquote>", "New"),
        ("<p>See <a href='https://example.com/x'>this</a></p>", "See [this](https://example.com/x)"),
        ("<script>alert(1)</script><p>Hi</p>", "Hi"),
        ("plain &lt;text&gt;", "plain <text>"),
        ("   ", ""),
    ],
)
def test_a_body_in_html_is_read_as_text_without_what_it_quotes(body, text):
    assert html_text(body) == text


def test_a_damaged_table_is_refused(db, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00" + bytes(range(256)))
    with pytest.raises(BadFile, match=r"t\.csv"):
        import_history(db, tmp_path / "t.csv")
