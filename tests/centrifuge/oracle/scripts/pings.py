"""The pings of the protocol."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import Closed, Hear, Open, Script, ask, connect, script

SCRIPTS: Final[tuple[Script, ...]] = (
    script("pings that are answered", ask("a", connect()), Hear("a", pings=2), setup="pinging", slow=True),
    script(
        "a ping that isn't answered",
        Open("a", pongs=False),
        ask("a", connect()),
        Closed("a"),
        setup="pinging",
        slow=True,
    ),
    script("a pong that nobody asked for", ask("a", connect()), ask("a", {}), Closed("a")),
    script("a pong with the first frame", ask("a", connect(), {}), Closed("a")),
    script(
        "two pongs for one ping",
        ask("a", connect()),
        Hear("a", pings=1),
        ask("a", {}),
        Closed("a"),
        setup="pinging",
        slow=True,
    ),
)
