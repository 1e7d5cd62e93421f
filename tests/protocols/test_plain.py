"""What the path and query of a plain client mean."""

from __future__ import annotations

import pytest

from relay.errors import Refused
from relay.protocols.plain import Plain, endpoint
from relay.protocols.request import parse_request


def session(target: str) -> Plain:
    """Open a session for a request target."""
    return endpoint.open(parse_request(target, {}, ""), "lobby")


@pytest.mark.parametrize(
    ("target", "channel"),
    [
        ("/", "lobby"),
        ("/ws", "lobby"),
        ("/ws/", "lobby"),
        ("/?user=x", "lobby"),
        ("/ws/chat", "chat"),
        ("/ws/chat/rooms:1", "chat/rooms:1"),
        ("/ws/a%2Fb%3A", "a/b:"),
        ("/ws/%E6%97%A5", "日"),
        ("/ws/a//b/", "a//b/"),
    ],
)
def test_the_path_names_the_channel(target: str, channel: str) -> None:
    assert (session(target).channel, session(target).echo) == (channel, False)


def test_echo_is_asked_for() -> None:
    assert session("/ws/a?echo=1").echo
    assert not session("/ws/a?echo=0").echo


def test_the_newest_messages_are_asked_for() -> None:
    assert session("/ws/a").resume == 0
    assert session("/ws/a?history=20").resume == 20


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/ws/a%20b", 400, "white space"),
        ("/ws/%00", 400, "control"),
        ("/ws/" + "x" * 256, 400, "255"),
        ("/ws/%zz", 400, "percent"),
        ("/ws/a?echo=yes", 400, "echo must be 0 or 1"),
        ("/ws/a?history=all", 400, "history must be a number"),
        ("/wss", 404, "/ws/CHANNEL"),
        ("/healthz", 404, "/ws/CHANNEL"),
    ],
)
def test_what_is_refused_and_why(target: str, status: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as caught:
        session(target)
    assert caught.value.status == status
