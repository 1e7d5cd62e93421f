"""Subscriptions of clients."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import Script, ask, connect, script, subscribe, unsubscribe
from tests.centrifuge.oracle.setups import CHANNELS_OF_A_CLIENT

SCRIPTS: Final[tuple[Script, ...]] = (
    script("a channel without a namespace", ask("a", connect()), ask("a", subscribe("plain~"))),
    script("a channel of a namespace", ask("a", connect()), ask("a", subscribe("open:~"))),
    script(
        "twice to the same channel", ask("a", connect()), ask("a", subscribe("open:~")), ask("a", subscribe("open:~"))
    ),
    script("a namespace that isn't there", ask("a", connect()), ask("a", subscribe("nowhere:~"))),
    script("a channel that clients may not subscribe to", ask("a", connect()), ask("a", subscribe("closed:~"))),
    script(
        "more channels than a client may have",
        ask("a", connect()),
        ask("a", *(subscribe(f"open:{n}~") for n in range(CHANNELS_OF_A_CLIENT + 1))),
        ask("a", unsubscribe("open:0~"), subscribe("open:again~")),
    ),
    script("a name of 255 bytes", ask("a", connect()), ask("a", subscribe("open:" + "x" * 242 + "~"))),
    script("a name of 256 bytes", ask("a", connect()), ask("a", subscribe("open:" + "x" * 243 + "~"))),
    script("a name that isn't ASCII", ask("a", connect()), ask("a", subscribe("open:grün~"))),
    script("a name with white space", ask("a", connect()), ask("a", subscribe("open:a b~"))),
    script("a name with an asterisk", ask("a", connect()), ask("a", subscribe("open:*~"))),
    script("a name that ends with the colon", ask("a", connect()), ask("a", subscribe("open:"))),
    script("a private channel without a token", ask("a", connect()), ask("a", subscribe("$open:~"), subscribe("$~"))),
    script("the flags that SDKs send", ask("a", connect()), ask("a", subscribe("open:~", flag=1))),
    script("with data", ask("a", connect()), ask("a", subscribe("open:~", data={"x": 1}))),
    script(
        "with filters by tags where they aren't allowed",
        ask("a", connect()),
        ask("a", subscribe("open:~", tf={"op": "", "key": "a", "cmp": "eq", "val": "b"})),
    ),
    script(
        "to a map, which no namespace allows",
        ask("a", connect()),
        ask("a", subscribe("open:~", type=1)),
        formats=("json",),
    ),
    script("unsubscribe", ask("a", connect()), ask("a", subscribe("open:~")), ask("a", unsubscribe("open:~"))),
    script(
        "unsubscribe twice",
        ask("a", connect()),
        ask("a", subscribe("open:~")),
        ask("a", unsubscribe("open:~"), unsubscribe("open:~")),
    ),
    script(
        "unsubscribe from a channel that was never subscribed", ask("a", connect()), ask("a", unsubscribe("open:~"))
    ),
    script("unsubscribe from a namespace that isn't there", ask("a", connect()), ask("a", unsubscribe("nowhere:~"))),
    script(
        "subscribe again after unsubscribe",
        ask("a", connect()),
        ask("a", subscribe("open:~"), unsubscribe("open:~"), subscribe("open:~")),
    ),
    script(
        "where nobody is subscribed a user of nobody may not",
        ask("a", connect(""), subscribe("open:~"), subscribe("plain~")),
        setup="anonymous",
    ),
)
