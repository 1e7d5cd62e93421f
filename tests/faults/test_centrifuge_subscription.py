"""What a channel of a Centrifuge client takes from the relay, and what it takes for a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.clients.centrifuge_connection import Unexpected
from tests.faults.clients.centrifuge_subscription import CentrifugeSubscription, State
from tests.faults.operations import Ended, Received, Subscribed
from tests.faults.payload import digest_of, make_payload
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place
from tests.harness.tcp_proxy import TcpProxy

PLACE = Place(1, TcpProxy(), TcpProxy())

KEPT = {"recoverable": True, "positioned": True, "epoch": "E", "offset": 4}


def publication(label: str, offset: int, *, binary: bool = False) -> dict[str, Any]:
    """Return a publication as it comes."""
    return {"data": json.loads(make_payload(label, 60, binary=binary)), "offset": offset}


@pytest.fixture
def recorder() -> Recorder:
    """What records."""
    return Recorder()


@pytest.fixture
def subscription(recorder: Recorder) -> CentrifugeSubscription:
    """A subscription that has not begun."""
    return CentrifugeSubscription("s1", "kept:1", recorder)


def test_it_goes_on_where_it_was(subscription: CentrifugeSubscription, recorder: Recorder) -> None:
    assert subscription.request == {}
    subscription.begin(PLACE, KEPT)
    subscription.publication(publication("a", 5))
    assert subscription.unsubscribed(2500)
    assert subscription.request == {"recover": True, "epoch": "E", "offset": 5}
    again = KEPT | {"was_recovering": True, "recovered": True, "offset": 5, "publications": [publication("b", 6)]}
    subscription.begin(PLACE, again)
    assert subscription.request["offset"] == 6
    first, _, ended, second, _ = recorder.history
    assert isinstance(first, Subscribed)
    assert (first.since, first.recovered, first.position) == (None, None, "E:4")
    assert isinstance(second, Subscribed)
    assert (second.since, second.recovered, second.gateway) == ("E:5", True, 1)
    assert isinstance(ended, Ended)
    assert ended.code == 2500
    assert [one.position for one in recorder.history if isinstance(one, Received)] == ["E:5", "E:6"]


@pytest.mark.parametrize("binary", [False, True])
def test_a_message_is_known_again_whatever_its_kind(
    subscription: CentrifugeSubscription, recorder: Recorder, binary: bool
) -> None:
    subscription.begin(PLACE, KEPT)
    subscription.publication(publication("a", 5, binary=binary))
    received = recorder.history[-1]
    assert isinstance(received, Received)
    assert (received.message, received.digest) == ("a", digest_of(make_payload("a", 60, binary=binary)))


def test_nothing_may_come_before_the_reply_nor_behind_the_end(subscription: CentrifugeSubscription) -> None:
    with pytest.raises(Unexpected):
        subscription.publication(publication("a", 5))
    subscription.begin(PLACE, KEPT)
    subscription.unsubscribed(2500)
    with pytest.raises(Unexpected):
        subscription.publication(publication("a", 5))


def test_what_comes_while_it_leaves_is_ignored(subscription: CentrifugeSubscription, recorder: Recorder) -> None:
    subscription.begin(PLACE, KEPT)
    subscription.end(None, State.LEAVING)
    subscription.publication(publication("a", 5))
    assert subscription.unsubscribed(2500) is False
    assert len(recorder.history) == 2
    assert subscription.request["offset"] == 4


@pytest.mark.parametrize("wrong", [{"recovered": True}, {"was_recovering": True}])
def test_it_is_not_told_of_what_it_has_not_asked_for(
    subscription: CentrifugeSubscription, wrong: dict[str, Any]
) -> None:
    with pytest.raises(Unexpected):
        subscription.begin(PLACE, KEPT | wrong)


@pytest.mark.parametrize("code", [2000, 2499])
def test_nobody_has_ended_it_for_good(subscription: CentrifugeSubscription, code: int) -> None:
    subscription.begin(PLACE, KEPT)
    with pytest.raises(Unexpected):
        subscription.unsubscribed(code)
