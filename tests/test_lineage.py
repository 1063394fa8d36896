"""Why did it say this: from a message to the adapter, its run, its verdicts and its pairs; and the ledger's chain."""

import json
from pathlib import Path

import pytest

from data import __main__ as data_commands
from data import store, store_chain
from data.models import HistoryPair, Turn
from data.prompts import reply_messages
from serving import promotion


@pytest.fixture
def served(tmp_path, monkeypatch) -> Path:
    """An adapter that learned two of three tickets, served, and a reply that it wrote and an agent sent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "nightshift.db"))
    with store.connect(tmp_path / "nightshift.db") as db:
        for name in ("kettle", "lamp", "sofa"):
            said = reply_messages([Turn("customer", f"The {name} is broken.")])
            store.record_history(
                db, f"history/{name}", team_id="", created_at=store.now(),
                pairs=[HistoryPair(0, "reply", said, f"We mend the {name}.")],
            )  # fmt: skip
        pairs = {pair.thread_id: pair.id for pair in store.training_pairs(db)}
        run = store.start_run(db, base="b")
        (tmp_path / "night-1").mkdir()
        store.record_adapter(
            db, name="night-1", run_id=run, base="b", path=str(tmp_path / "night-1"), sha256="ab" * 32,
            pair_ids=[pairs["history/kettle"], pairs["history/lamp"]], config={},
        )  # fmt: skip
        report = store.record_gate_report(db, run_id=run, task="reply", passed=True, report={"p": 0.001})
        promotion.promote(db, "reply", "night-1", base="b", cause="gate", gate_report_id=report)
        asked = store.request_suggestion(
            db, request_key="k", task="reply", team_id="T1", channel_id="C1", thread_ts="5.000001", requested_by="U1",
            request={"kind": "shortcut"},
        )  # fmt: skip
        messages = reply_messages([Turn("customer", "My kettle is broken!")])
        store.record_draft(db, asked.id, messages=messages, draft="We mend it.", base="b", adapter="night-1")
        store.decide(db, asked.id, kind="accepted", text="We mend it.", reason=None, decided_by="U1")
        store.record_posted(db, asked.id, "1700000000.000200")
    return tmp_path


def test_a_message_in_slack_leads_to_the_decisions_that_made_its_adapter(served, capsys):
    link = "https://team.slack.com/archives/C1/p1700000000000200?thread_ts=5.000001"
    assert data_commands.main(["why", link, "--json"]) == 0
    traced = json.loads(capsys.readouterr().out)
    assert traced["adapter"]["name"] == "night-1" and traced["adapter"]["pairs"] == 2
    assert traced["run"]["id"] == traced["adapter"]["run"]
    assert [one["passed"] for one in traced["gate_reports"]] == [True]
    assert traced["nearest_pairs"][0]["thread"] == "history/kettle"
    assert "history/sofa" not in {one["thread"] for one in traced["nearest_pairs"]}, "it never learned that one"
    assert traced["ledger"] == []
    assert "broken" not in json.dumps(traced), "ids, not texts"


def test_what_nobody_drafted_here_is_told_in_one_sentence(served, capsys):
    assert data_commands.main(["why", "C1/9.9"]) == 1
    assert "Nothing that was drafted here is C1/9.9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("update gate_reports set report = '{\"p\": 0.9}'", "was changed after it was written"),
        ("update promotions set cause = 'manual'", "was changed after it was written"),
        ("delete from adapter_pairs", "was changed after it was written"),
        ("delete from promotions", "is gone"),
        ("update ledger_chain set sha256 = 'x' where id = 1", "does not follow"),
        (
            "insert into promotions (task, base, adapter, cause, created_at) values ('answer', 'b', 'x', 'gate', '')",
            "never linked",
        ),
    ],
)
def test_a_ledger_that_was_changed_by_hand_is_noticed(served, capsys, change, told):
    with store.connect(served / "nightshift.db") as db:
        assert store_chain.breaks(db) == []
        db.execute(change)
        assert any(told in one for one in store_chain.breaks(db))
    assert data_commands.main(["doctor"]) == 1
    assert "ledger" in capsys.readouterr().err
