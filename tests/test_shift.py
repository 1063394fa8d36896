"""A short shift of eight agents, with faults and a kill: the long one is `make soak`."""

from soak_shift import play


async def test_in_a_short_shift_nothing_is_lost_done_twice_or_late(tmp_path):
    told = await play(tmp_path, agents=8, seconds=16, timing=False)
    assert told["broken"] == []
    assert told["tracebacks"] == 0, (tmp_path / "bot.log").read_text()
    assert told["decisions"] > 5 and told["kills"] == 1
