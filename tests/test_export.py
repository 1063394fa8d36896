"""export: each line is what the service documents, masked, of training threads alone."""

import json
from pathlib import Path

import pytest

from data import __main__ as data_commands
from data import store
from data.export_formats import FORMATS
from data.history import import_history
from data.store_backtest import set_salt

SFT = [name for name, form in FORMATS.items() if form.of_pair]
PREFERENCE = [name for name, form in FORMATS.items() if form.of_preference]


@pytest.fixture
def tickets(tmp_path, monkeypatch) -> Path:
    """Sixty closed tickets; about a third of their threads are held out, the same in every test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "nightshift.db"))
    turns = [
        {"role": "customer", "text": "My parcel {} is late, write to jo.doe@example.com or 81.23.9.7."},
        {"role": "agent", "text": "Parcel {} comes on Monday."},
    ]
    lines = [
        json.dumps({"id": n, "turns": [one | {"text": one["text"].format(n)} for one in turns]}) for n in range(60)
    ]
    (tmp_path / "h.jsonl").write_text("\n".join(lines))
    with store.connect(tmp_path / "nightshift.db") as db:
        set_salt(db, "tickets")
        import_history(db, tmp_path / "h.jsonl")
    return tmp_path


def exported(*arguments: str) -> int:
    return data_commands.main(["export", *arguments])


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", SFT)
def test_every_line_fits_the_format_and_holds_no_personal_data(tickets, name, capsys):
    assert exported("--format", name, "--out", "train.jsonl", "--validation", "validation.jsonl", "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    train, validation = lines_of(tickets / "train.jsonl"), lines_of(tickets / "validation.jsonl")
    assert (len(train), len(validation)) == (counts["train"], counts["validation"]) and len(train) > 32
    with store.connect(tickets / "nightshift.db") as db:
        assert len(validation) == len(store.held_out_threads(db)) > 0
    for line in (*train, *validation):
        FORMATS[name].line.model_validate(line)
        text = json.dumps(line)
        assert "jo.doe" not in text and "81.23.9" not in text and "comes on Monday" in text
    assert not {json.dumps(one) for one in train} & {json.dumps(one) for one in validation}


def test_the_documented_shapes_are_these(tickets):
    shapes = {}
    for name in SFT:
        assert exported("--format", name, "--out", f"{name}.jsonl") == 0
        shapes[name] = lines_of(tickets / f"{name}.jsonl")[0]
    assert [one["role"] for one in shapes["openai-chat"]["messages"]] == ["system", "user", "assistant"]
    assert [one["role"] for one in shapes["gemini"]["contents"]] == ["user", "model"]
    assert list(shapes["claude-bedrock"]) == ["system", "messages"]
    assert shapes["llama-bedrock"]["prompt"].endswith("Assistant:\n")
    assert list(shapes["trl-sft"]) == ["prompt", "completion"]


@pytest.mark.parametrize("name", PREFERENCE)
def test_an_edit_is_a_preferred_and_a_rejected_text(tickets, name):
    with store.connect(tickets / "nightshift.db") as db:
        store.set_consent(db, channel_id="C1", granted_by="UA", granted=True, request_key="c")
        for n in range(30):
            asked = store.request_suggestion(
                db, request_key=f"k{n}", task="answer", team_id="T1", channel_id="C1", thread_ts=f"{n}.0",
                requested_by="U1", request={"kind": "ask"},
            )  # fmt: skip
            messages = [
                {"role": "system", "content": "Answer."},
                {"role": "user", "content": f"Question: what is {n}?"},
            ]
            store.record_draft(db, asked.id, messages=messages, draft="Maybe.", base="b", adapter="base")
            store.decide(db, asked.id, kind="edited", text=f"It is {n}.", reason=None, decided_by="U1")
    assert exported("--format", name, "--out", "p.jsonl", "--task", "answer") == 0
    for line in lines_of(tickets / "p.jsonl"):
        FORMATS[name].line.model_validate(line)
        assert "Maybe." in json.dumps(line)


def test_too_few_pairs_for_the_service_is_one_sentence_and_no_file(tickets, capsys):
    assert exported("--format", "openai-preference", "--out", "p.jsonl") == 1
    assert "takes no fewer than 10" in capsys.readouterr().err
    assert not (tickets / "p.jsonl").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_a_line_that_the_service_would_refuse_is_refused_here(name):
    with pytest.raises(ValueError, match="validation error"):
        FORMATS[name].line.model_validate({"messages": [{"role": "user", "content": "alone"}], "extra": 1})
