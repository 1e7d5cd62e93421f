"""The comparison misses no field, and accepts no difference that nobody has written down."""

from __future__ import annotations

from typing import Any

import pytest

from tests.centrifuge.oracle.comparison import ABSENT, deviations, judge
from tests.centrifuge.oracle.differences import Difference

THEIRS = {"json": [{"client": "a", "replies": [{"id": 1, "connect": {"ping": 25, "pong": True}}]}]}
PATH = "json.0.replies.0.connect.ping"
INTENDED = Difference("it pings more often", ("theme/script",), "*.connect.ping")


def _ours(**connect: Any) -> dict[str, list[dict[str, Any]]]:
    return {"json": [{"client": "a", "replies": [{"id": 1, "connect": connect}]}]}


@pytest.mark.parametrize(
    ("ours", "path", "said"),
    [
        (_ours(ping=20, pong=True), PATH, 20),
        (_ours(pong=True), PATH, ABSENT),
        (_ours(ping=25, pong=True, more=None), "json.0.replies.0.connect.more", None),
        (_ours(ping=25, pong=1), "json.0.replies.0.connect.pong", 1),
        ({"json": []}, "json.0", ABSENT),
        ({"json": [*THEIRS["json"], {"closed": [3501, ""]}]}, "json.1", {"closed": [3501, ""]}),
    ],
)
def test_finds_each_deviation(ours: dict[str, Any], path: str, said: object) -> None:
    """Another value, a missing field, one too many, another type, and entries."""
    found = deviations(THEIRS, ours)
    assert [(deviation.path, deviation.ours) for deviation in found] == [(path, said)]


def test_finds_nothing_in_the_same_transcripts() -> None:
    """Neither with an intended difference elsewhere."""
    assert judge("theme/other", deviations(THEIRS, THEIRS), (INTENDED,)) == []


def test_accepts_an_intended_difference() -> None:
    """In the script that it names, and in no other."""
    found = deviations(THEIRS, _ours(ping=20, pong=True))
    assert judge("theme/script", found, (INTENDED,)) == []
    assert judge("theme/other", found, (INTENDED,)) == [f"{PATH}: Centrifugo says 25, the relay 20"]


def test_refuses_an_unexpected_agreement() -> None:
    """A difference that isn't there any more leaves the table."""
    wrong = judge("theme/script", [], (INTENDED,))
    assert wrong == ["*.connect.ping: no difference any more; it was: it pings more often"]
