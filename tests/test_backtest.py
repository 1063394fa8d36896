"""backtest: old conversations in time order, nights by the night's own code, and scores on what none has learned."""

import json
import os
from pathlib import Path

import pytest
from night_fixtures import SMALL, SMALL_NIGHT, answered, named, wrong

from data import store
from data.errors import BadFile, CannotServe
from data.models import BASE
from data.store_backtest import set_salt
from finetune.__main__ import main
from finetune.backtest import Scene, Stalls, Wanted, backtest, play
from finetune.backtest_metrics import Reading, Sent, gain, measured, rouge_l, similarity
from finetune.backtest_parts import TooFewConversations, read_parts
from finetune.backtest_report import told, write_report
from finetune.settings import FinetuneSettings
from serving.base import identify
from serving.settings import ServingSettings

FIELDS = {
    *("night", "pairs", "cases", "loss", "base_loss", "fewshot_loss", "candidate_loss", "loss_ci", "chrf", "base_chrf"),
    *("rouge_l", "base_rouge_l", "acceptance", "base_acceptance", "promoted"),
}


def conversation(number: int, **more: object) -> dict[str, object]:
    # The answer names what is wrong: a gate would refuse who answers without reading.
    said = f"the {wrong(number)} number {named(number)} is wrong"
    turns = [{"role": "customer", "text": said}, {"role": "agent", "text": answered(number), "how": "typed"}]
    return {"id": number, "turns": turns, **more}


def written(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines) + "\n")
    return path


def ids(part) -> list[str]:
    return [one.conversation.id for one in part]


def test_the_newest_fifth_is_final_and_the_nights_share_the_rest_in_order(tmp_path):
    days = [f"2026-01-{31 - number:02}" for number in range(30)]
    file = written(tmp_path / "old.jsonl", *(conversation(n, closed_at=day) for n, day in enumerate(days)))
    parts = read_parts(file, nights=2)
    assert ids(parts.final) == [str(n) for n in range(5, -1, -1)]
    assert [ids(one) for one in parts.slices] == [[str(n) for n in range(f, f - 12, -1)] for f in (29, 17)]


def test_without_closing_times_the_files_order_is_the_order(tmp_path):
    file = written(tmp_path / "old.jsonl", *(conversation(n) for n in range(20)))
    assert ids(read_parts(file, nights=1).final) == ["16", "17", "18", "19"]


def test_what_was_said_before_is_not_played_again(tmp_path):
    copy = conversation(3) | {"id": "another"}
    file = written(tmp_path / "old.jsonl", *(conversation(n) for n in range(25)), copy, conversation(4), '{"id": 1')
    parts = read_parts(file, nights=1)
    assert (parts.repeated, parts.skipped) == (2, 1)
    assert "another" not in ids(parts.final)


def test_a_turn_that_is_context_only_is_neither_learned_nor_scored(tmp_path):
    silent = conversation(99)
    silent["turns"][1]["score"] = False
    file = written(tmp_path / "old.jsonl", *(conversation(n) for n in range(20)), silent)
    parts = read_parts(file, nights=1)
    assert "99" not in ids([*parts.slices[0], *parts.final])


def test_a_file_without_conversations_and_one_with_too_few_are_told_in_one_sentence(tmp_path):
    with pytest.raises(BadFile, match="holds no conversation"):
        read_parts(written(tmp_path / "none.jsonl", {"id": 1}), nights=1)
    few = written(tmp_path / "few.jsonl", *(conversation(n) for n in range(8)))
    with pytest.raises(TooFewConversations, match=r"holds 8 conversations .* 1 night needs 20"):
        read_parts(few, nights=1)


def test_the_command_says_what_is_wrong_and_how_it_is_used(tmp_path, capsys):
    assert main(["backtest", str(tmp_path / "nowhere.jsonl"), "--nights", "1", "--folder", str(tmp_path)]) == 1
    assert "nowhere.jsonl cannot be read" in capsys.readouterr().err
    assert main(["backtest", str(tmp_path / "nowhere.jsonl"), "--nights", "0"]) == 2
    assert main(["backtest", "FILE"]) == 2


def test_a_draft_is_as_like_as_the_characters_that_need_no_edit():
    assert similarity("abcdefghij", "abcdefghij ") == 1
    assert similarity("abcdefghXY", "abcdefghij") == pytest.approx(0.8)
    assert similarity("", "abc") == 0


def test_rouge_l_counts_the_longest_common_run_of_words():
    # Lin (2004), 3.1: "police killed the gunman" against "police kill the gunman" and "the gunman kill police".
    assert rouge_l("Police kill the gunman.", "police killed the gunman") == pytest.approx(3 / 4)
    assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(2 / 4)
    assert rouge_l("", "police") == 0


def test_losses_are_sums_over_sums_and_acceptance_starts_at_eight_tenths():
    sent = Sent(["a", "a", "b"], ["ä" * 10, "abcdefghij", "abcdefghij"], [2, 3, 5])
    found = measured(Reading([4.0, 6.0, 10.0], ["", "abcdefghXY", "abcdefgXYZ"]), sent)
    assert found["loss"] == pytest.approx(20 / 10)
    assert found["loss_per_byte"] == pytest.approx(20 / 40)
    assert found["acceptance"] == pytest.approx(1 / 3)
    assert found["acceptance_at"] == {"0.7": pytest.approx(2 / 3), "0.9": 0}


def test_an_interval_counts_conversations_and_not_replies():
    before, after = [4.0, 3.0, 5.0, 2.0] * 5, [3.0, 3.5, 3.0, 2.5] * 5
    apart = Sent([str(n) for n in range(20)], ["x"] * 20, [1] * 20)
    together = Sent([str(n % 4) for n in range(20)], ["x"] * 20, [1] * 20)
    narrow, wide = gain(before, after, apart), gain(before, after, together)
    assert narrow.mean == wide.mean == pytest.approx(0.5)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_nights_learn_what_was_before_them_and_are_scored_on_what_none_has_learned(db, tmp_path, vllm_server):
    file = written(tmp_path / "old.jsonl", *(conversation(n) for n in range(230)))
    settings = FinetuneSettings(**{key.lower(): value for key, value in SMALL_NIGHT.items()}, _env_file=None)
    serving = ServingSettings(
        base_model=str(vllm_server.model),
        llm_base_url=vllm_server.base_url,
        adapter_store=vllm_server.adapter_store,
        _env_file=None,
    )
    stalls = Stalls(tmp_path / "stalls")
    stalls.database.parent.mkdir(parents=True)
    base = identify(serving.base_model)
    wanted = Wanted(file, nights=2, cases=12, by="how")
    scene = Scene(db, base, settings.model_copy(update={"runs_dir": stalls.runs}), serving, wanted)
    parts = read_parts(file, nights=2, by="how")
    # As `backtest` does.
    set_salt(db, "backtest")
    nights = play(scene, parts, stalls, vllm_server.environment)
    final = {f"history/{one.conversation.id}" for one in parts.final}
    assert final.isdisjoint(pair.thread_id for pair in store.training_pairs(db))
    assert all(night.keys() >= FIELDS for night in nights)
    assert [night["night"] for night in nights] == [1, 2]
    assert nights[0]["pairs"] < nights[1]["pairs"]
    last = nights[1]
    assert last["candidate_loss"] < 0.7 * last["base_loss"] == nights[0]["base_loss"] * 0.7
    # Random weights garble a text now and then, so the gate may refuse either night, but hardly both: what is promoted
    # is served and scored, and whoever is refused leaves the one before in place.
    promoted = [night["promoted"] for night in nights if night["promoted"]]
    assert promoted and {one.name for one in store.adapters(db)} >= set(promoted)
    served, loss = BASE, nights[0]["fewshot_loss"]
    for night in nights:
        if night["promoted"]:
            served, loss = night["promoted"], night["candidate_loss"]
        assert night["served"] == served
        assert night["loss"] == pytest.approx(loss, rel=1e-3)
    assert last["loss_ci"][0] < last["loss"] < last["loss_ci"][1]
    assert last["by"]["typed"]["loss"] == last["loss"] and last["cases"] == 12
    assert nights[0]["next_slice"]["loss"] != nights[0]["loss"]
    # Played nights are read, also without a server.
    db.conn.close()
    assert play(scene, parts, stalls, {}) == nights
    stalls.folder.mkdir(exist_ok=True)
    document = {"file": "old.jsonl", "nights": nights, "conversations": 230, "final_conversations": 46}
    report = write_report(document | {"folder": str(stalls.folder)}).read_text()
    assert "## Only typed" in report and "number 252 is wrong" not in report
    lines = told(document)
    assert len(lines) == 3 + 1 + 2 + 1 + 1 and lines[-1] in report
    assert all(f"- {line}" in report for line in lines[4:6])
    change = last["loss"] / min(last["base_loss"], last["fewshot_loss"]) - 1
    assert f"{change:+.1%}" in lines[2] and f"{change:+.1%}" in lines[-1]
    assert (stalls.folder / "backtest.png").stat().st_size > 10_000


def test_a_base_that_vllm_cannot_serve_ends_it_in_one_sentence_and_leaves_nothing_running(tmp_path, tiny_base):
    file = written(tmp_path / "old.jsonl", *(conversation(n) for n in range(30)))
    serving = ServingSettings(base_model=str(tiny_base), cpu_kvcache_gib=100_000, _env_file=None)
    environment = os.environ | {"CPU_KVCACHE_GIB": "100000"}
    with pytest.raises(CannotServe, match="GiB of memory"):
        backtest(Wanted(file, 1, 10), SMALL, serving, environment, root=tmp_path / "backtests")
