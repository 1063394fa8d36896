"""Which thumbs stand on a message, in whatever order Slack tells of them."""

from itertools import permutations

import pytest

from data.store_waiting import WaitingThumb, stand


def told(db, reaction: str, event_ts: str, *, removed: bool = False):
    value = 1 if reaction.startswith("+1") else -1
    return stand(db, WaitingThumb(event_ts, "T1", "C1", "1.1", "U1", value, removed, reaction, event_ts))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whatever_the_order_what_is_on_the_message_stands(db, order):
    events = [("+1", "1.0", False), ("-1", "2.0", False), ("-1", "3.0", True)]
    for number in order:
        told(db, events[number][0], events[number][1], removed=events[number][2])
    for number in order:
        assert told(db, events[number][0], events[number][1], removed=events[number][2]) in (None, 1), "told twice"
    assert told(db, "+1::skin-tone-2", "4.0", removed=True) == 1
    assert told(db, "+1", "5.0", removed=True) == 0


def test_an_older_thumb_told_late_does_not_outdo_the_newer_one(db):
    assert told(db, "-1", "2.0") == -1
    assert told(db, "+1", "1.0") == -1
    assert told(db, "-1", "3.0", removed=True) == 1


def test_where_slack_does_not_say_when_the_order_is_that_of_their_coming(db):
    assert [told(db, "+1", ""), told(db, "-1", ""), told(db, "-1", "", removed=True)] == [1, -1, 1]
