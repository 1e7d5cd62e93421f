"""Channels of one user, or of some."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import Api, Hear, Script, ask, connect, script, subscribe, token

SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "a personal channel with the connection",
        ask("a", connect(), subscribe("open:~")),
        Api("publish", {"channel": "own:#42~", "data": 1}),
        Hear("a", pushes=1),
        setup="personal",
    ),
    script(
        "a channel of one user",
        ask("a", connect()),
        ask("a", subscribe("users:dm#42~"), subscribe("users:dm#7~")),
        setup="personal",
    ),
    script(
        "a channel of two users",
        ask("a", connect(token("7~"))),
        ask("a", subscribe("users:dm#42~,7~"), subscribe("users:dm#42~")),
        setup="personal",
    ),
    script(
        "a channel of users where that isn't allowed",
        ask("a", connect()),
        ask("a", subscribe("open:dm#42~"), subscribe("open:dm#7~")),
    ),
    script("nobody has no personal channel", ask("a", connect(token(""))), setup="personal"),
)
