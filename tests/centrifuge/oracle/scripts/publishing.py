"""Publications of clients."""

from __future__ import annotations

from typing import Any, Final

from tests.centrifuge.oracle.script import (
    Frame,
    Hear,
    Open,
    Script,
    Token,
    ask,
    connect,
    publish,
    script,
    subscribe,
    token,
    unsubscribe,
)

VALUES: Final[dict[str, Any]] = {
    "an object": {"text": "grün", "list": [1, 2.5, None, True], "empty": {}},
    "text": "hello",
    "a number": 5,
    "false": False,
    "an empty object": {},
}

SCRIPTS: Final[tuple[Script, ...]] = (
    *(
        script(
            f"{name} is delivered, also to its publisher",
            ask("a", connect(), subscribe("open:~")),
            ask("b", connect(token("7~")), subscribe("open:~")),
            ask("a", publish("open:~", value), pushes=1),
            Hear("b", pushes=1),
        )
        for name, value in VALUES.items()
    ),
    script(
        "null as data",
        ask("a", connect(), subscribe("open:~")),
        ask("a", publish("open:~", None), pushes=1),
    ),
    script(
        "no data",
        ask("a", connect(), subscribe("open:~")),
        ask("a", {"publish": {"channel": "open:~"}}),
    ),
    script(
        "data that is no JSON",
        ask("a", connect(), subscribe("open:~")),
        ask("a", publish("open:~", b"\xff\xfe\n"), pushes=1),
        formats=("protobuf",),
    ),
    script(
        "data that is no JSON, for a client that speaks JSON",
        Open("b", "json"),
        ask("b", connect(token("7~")), subscribe("open:~")),
        ask("a", connect()),
        ask("a", publish("open:~", b"\xff\xfe\n")),
        ask("b", unsubscribe("open:~")),
        formats=("protobuf",),
    ),
    script(
        "from a client that speaks one format to one that speaks the other",
        Open("b", "json"),
        Open("c", "protobuf"),
        ask("b", connect(token("7~")), subscribe("open:~")),
        ask("c", connect(token("7~")), subscribe("open:~")),
        ask("a", connect()),
        ask("a", publish("open:~", {"x": 1})),
        Hear("b", pushes=1),
        Hear("c", pushes=1),
    ),
    script(
        "numbers and white space stay as they are",
        ask("a", connect(), subscribe("open:~")),
        Frame("a", '{"id":3,"publish":{"channel":"open:~","data":{"a" :  1.50,"b":12345678901234567890}}}', 1),
        Hear("a", pushes=1),
        formats=("json",),
    ),
    script(
        "the publisher's info from its token",
        ask("a", connect(token(info={"name": "Ann"})), subscribe("open:~")),
        ask("a", publish("open:~", 1), pushes=1),
    ),
    script(
        "info of the subscription",
        ask("a", connect(token(info={"name": "Ann"}))),
        ask("a", subscribe("open:~", token=Token({"sub": "42~", "channel": "open:~", "info": {"seat": 1}}))),
        ask("a", publish("open:~", 1), pushes=1),
    ),
    script(
        "info of a publisher who isn't subscribed",
        ask("b", connect(token("7~")), subscribe("open:~")),
        ask("a", connect(token(info={"name": "Ann"}))),
        ask("a", publish("open:~", 1)),
        Hear("b", pushes=1),
    ),
    script("info of a user without a name", ask("a", connect(token("")), subscribe("plain~"), publish("plain~", 1))),
    script(
        "where clients may not publish", ask("a", connect(), subscribe("listen:~")), ask("a", publish("listen:~", 1))
    ),
    script("to a namespace that isn't there", ask("a", connect()), ask("a", publish("nowhere:~", 1))),
    script("to a closed channel", ask("a", connect()), ask("a", publish("closed:~", 1))),
    script("for subscribers only, from outside", ask("a", connect()), ask("a", publish("subscribers:~", 1))),
    script(
        "for subscribers only, from a subscriber",
        ask("a", connect(), subscribe("subscribers:~")),
        ask("a", publish("subscribers:~", 1), pushes=1),
    ),
    script(
        "several in one frame keep their order",
        ask("a", connect(), subscribe("open:~")),
        ask("a", *(publish("open:~", number) for number in range(5)), pushes=5),
    ),
    script(
        "offsets, and an epoch with the first",
        ask("a", connect(), subscribe("kept:~", recoverable=True)),
        ask("a", publish("kept:~", 1), pushes=1),
        ask("a", publish("kept:~", 2), pushes=1),
    ),
    script(
        "offsets for those who didn't ask for positions",
        ask("a", connect(), subscribe("kept:~")),
        ask("a", publish("kept:~", 1), pushes=1),
        ask("a", publish("kept:~", 2), pushes=1),
    ),
    script("a name of 256 bytes", ask("a", connect()), ask("a", publish("open:" + "x" * 243 + "~", 1))),
)
