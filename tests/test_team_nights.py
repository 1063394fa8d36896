"""Nights of several teams: who has pairs enough for an adapter of their own, and who is served it."""

import hashlib
import json
from pathlib import Path

from night_fixtures import SMALL, finetune, import_tickets, night_environment, wrong

from data import store
from finetune import dataset as datasets
from finetune.enough import team_lines, teams_with_enough
from serving import promotion


def tersely(number: int) -> str:
    return f"No {wrong(number)[0]}."


def kindly(number: int) -> str:
    return f"Ok {wrong(number)[0]}{number % 7}."


def test_a_team_with_a_manner_of_its_own_gets_an_adapter_that_writes_it(vllm_server, tiny_base, tmp_path, db):
    for number in range(520):
        # Nothing that a customer says tells the team apart.
        own = hashlib.sha256(str(number).encode()).digest()[0] < 64
        team = "T1" if own else "T2" if number % 8 == 0 else ""
        import_tickets(db, 1, first=number, team=team, answer=tersely if own else kindly)
    served = night_environment(tmp_path, tiny_base, vllm_server)
    done = finetune(served | {"TEAM_PAIRS": "60", "EPOCHS": "9", "REPLAY_SHARE": "0.2"}, "nightly")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outcome"] == "promoted", document["reason"]
    (own,) = document["teams"]
    assert (own["team"], own["outcome"], own["promoted"]) == ("T1", "promoted", ["reply"]), own["reason"]
    shared, run = store.runs(db)
    serving = {team: promotion.live_adapter(db, "reply", run.base, team) for team in ("T1", "T2", "")}
    assert serving == {"T1": own["adapter"], "T2": document["adapter"], "": document["adapter"]}
    assert store.gate_reports(db, run.id)[0].report["incumbent"] == document["adapter"]
    assert run.facts["night"] == shared.id and "Team T2 has" in Path(document["report"]).read_text()
    assert ", team T1" in Path(own["report"]).read_text()


def test_only_a_team_with_pairs_enough_among_several_learns_alone(db):
    settings = SMALL.model_copy(update={"team_pairs": 60})
    import_tickets(db, 100, team="T1")
    assert teams_with_enough(db, settings) == [] and team_lines(db, settings) == []
    import_tickets(db, 40, first=1000, team="T2")
    import_tickets(db, 100, first=2000)
    assert teams_with_enough(db, settings) == ["T1"]
    assert [line[:7] for line in team_lines(db, settings)] == ["Team T1", "Team T2"]
    own, everybodys = datasets.build(db, team="T1"), datasets.build(db)
    theirs = {f"history/{number}" for number in range(100)}
    assert {pair.thread_id for pair in (*own.train, *own.validation)} <= theirs
    assert {case.pair.thread_id for case in own.held_out} == theirs & store.held_out_threads(db)
    assert len(everybodys.train) > len(own.train)
