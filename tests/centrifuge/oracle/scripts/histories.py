"""What clients read of histories."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import (
    Api,
    Ask,
    LastEpoch,
    Script,
    ask,
    connect,
    history,
    publish,
    script,
    subscribe,
)

KEPT: Final = "kept:~"
FIVE: Final = (ask("a", connect()), ask("a", *(publish(KEPT, {"n": number}) for number in range(1, 6))))
"""A channel with five messages."""


def _asked(name: str, **fields: object) -> Script:
    return script(name, *FIVE, ask("a", history(KEPT)), ask("a", history(KEPT, **fields)))


def _since(offset: int, **fields: object) -> Ask:
    return ask("a", history(KEPT, since={"offset": offset, "epoch": LastEpoch()}, **fields))


SCRIPTS: Final[tuple[Script, ...]] = (
    script("of an empty channel", ask("a", connect()), ask("a", history(KEPT)), ask("a", history(KEPT, limit=-1))),
    _asked("limit 0 tells the position alone", limit=0),
    _asked("limit 2 tells the oldest two", limit=2),
    _asked("limit -1 tells all", limit=-1),
    _asked("a limit above the number", limit=100),
    _asked("a limit above what is allowed", limit=1000),
    _asked("limit -2", limit=-2),
    _asked("reverse tells the newest first", limit=2, reverse=True),
    _asked("reverse and all", limit=-1, reverse=True),
    *(script(f"since {offset}", *FIVE, ask("a", history(KEPT)), _since(offset, limit=-1)) for offset in (0, 2, 5, 9)),
    script("since with a limit", *FIVE, ask("a", history(KEPT)), _since(1, limit=2)),
    script("since with limit 0", *FIVE, ask("a", history(KEPT)), _since(1, limit=0)),
    *(
        script(f"since {offset} in reverse", *FIVE, ask("a", history(KEPT)), _since(offset, limit=-1, reverse=True))
        for offset in (0, 1, 3, 5, 9)
    ),
    _asked("since with another epoch", limit=-1, since={"offset": 2, "epoch": "other"}),
    _asked("since with another epoch and limit 0", limit=0, since={"offset": 2, "epoch": "other"}),
    _asked("since without an epoch", limit=-1, since={"offset": 2}),
    _asked("since with nothing in it", limit=-1, since={}),
    script(
        "messages that are gone",
        ask("a", connect()),
        ask("a", *(publish("short:~", n) for n in range(1, 6))),
        ask("a", history("short:~", limit=-1)),
        ask("a", history("short:~", limit=-1, since={"offset": 1, "epoch": LastEpoch()})),
    ),
    script(
        "info and offsets of what clients have published",
        ask("a", connect(), subscribe(KEPT)),
        ask("a", publish(KEPT, 1), pushes=1),
        ask("a", history(KEPT, limit=-1)),
    ),
    script(
        "tags of what a back end has published",
        ask("a", connect()),
        Api("publish", {"channel": KEPT, "data": 1, "tags": {"a": "b"}}),
        ask("a", history(KEPT, limit=-1)),
    ),
    script("where there is none", ask("a", connect(), subscribe("open:~")), ask("a", history("open:~"))),
    script(
        "where nothing is kept and nothing allowed",
        ask("a", connect(), subscribe("listen:~")),
        ask("a", history("listen:~")),
    ),
    script("of a channel without a namespace", ask("a", connect(), subscribe("plain~")), ask("a", history("plain~"))),
    script("of a namespace that isn't there", ask("a", connect()), ask("a", history("nowhere:~"))),
    script("for subscribers only, from outside", ask("a", connect()), ask("a", history("subscribers:~"))),
    script(
        "for subscribers only, from a subscriber",
        ask("a", connect(), subscribe("subscribers:~")),
        ask("a", history("subscribers:~")),
    ),
    script("a name of 256 bytes", ask("a", connect()), ask("a", history("kept:" + "x" * 243 + "~"))),
)
