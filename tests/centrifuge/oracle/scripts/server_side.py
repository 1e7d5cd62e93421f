"""Subscriptions that come with the connection, by the claims of its token."""

from __future__ import annotations

from typing import Any, Final

from tests.centrifuge.oracle.script import (
    Api,
    Hear,
    LastEpoch,
    Leave,
    Script,
    Step,
    ask,
    connect,
    presence,
    script,
    subscribe,
    token,
    unsubscribe,
)


def _kept(offset: int, **fields: Any) -> dict[str, Any]:
    return connect(
        token(channels=["kept:~"]),
        subs={"kept:~": {"recover": True, "offset": offset, "epoch": LastEpoch(), **fields}},
    )


THREE: Final[tuple[Step, ...]] = (
    ask("a", connect(token(channels=["kept:~"]))),
    Leave("a"),
    *(Api("publish", {"channel": "kept:~", "data": number}) for number in range(1, 4)),
)

SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "channels of a token",
        ask("a", connect(token(channels=["open:1~", "open:2~"]))),
        Api("publish", {"channel": "open:2~", "data": 1}),
        Hear("a", pushes=1),
    ),
    script("channels that clients may not subscribe to", ask("a", connect(token(channels=["closed:~"])))),
    script("subs of a token", ask("a", connect(token(subs={"open:~": {}})))),
    script(
        "subs with info and data",
        ask("a", connect(token(subs={"open:~": {"info": {"seat": 1}, "data": {"hello": 1}}}))),
        ask("a", presence("open:~")),
    ),
    script(
        "subs that override options",
        ask(
            "a",
            connect(
                token(subs={"told:~": {"override": {"presence": {"value": False}, "join_leave": {"value": False}}}})
            ),
        ),
        ask("a", presence("told:~")),
    ),
    script(
        "subs that ask for recovery where it is allowed",
        ask("a", connect(token(subs={"kept:~": {"override": {"force_recovery": {"value": True}}}}))),
    ),
    script("channels of a namespace that isn't there", ask("a", connect(token(channels=["nowhere:~"])))),
    script("subs of a namespace that isn't there", ask("a", connect(token(subs={"nowhere:~": {}})))),
    script("more channels than a client may have", ask("a", connect(token(channels=[f"open:{n}~" for n in range(8)])))),
    script("an empty list of channels", ask("a", connect(token(channels=[])))),
    script(
        "a client may not subscribe again by itself",
        ask("a", connect(token(channels=["open:~"]))),
        ask("a", subscribe("open:~")),
    ),
    script(
        "a client that unsubscribes by itself",
        ask("a", connect(token(channels=["open:~"]))),
        ask("a", unsubscribe("open:~")),
    ),
    script(
        "differences for a server-side subscription",
        ask("a", connect(token(channels=["delta:~"]), subs={"delta:~": {"delta": "fossil"}})),
        *(
            step
            for number in range(2)
            for step in (
                Api("publish", {"channel": "delta:~", "data": {"long": "x" * 80, "n": number}}),
                Hear("a", pushes=1),
            )
        ),
    ),
    script("a position", ask("a", connect(token(channels=["kept:~"])))),
    script(
        "joining and leaving of server-side subscribers",
        ask("a", connect(), subscribe("told:~", join_leave=True), pushes=1),
        ask("b", connect(token("7~", channels=["told:~"]))),
        Hear("a", pushes=1),
        Leave("b"),
        Hear("a", pushes=1),
    ),
    script(
        "a server-side subscriber hears of itself and of others",
        ask("a", connect(token(channels=["told:~"])), pushes=1),
        ask("b", connect(token("7~")), subscribe("told:~", join_leave=True), pushes=1),
        Hear("a", pushes=1),
        Leave("b"),
        Hear("a", pushes=1),
    ),
    script(
        "a server-side subscriber hears nobody come where that isn't forced",
        ask("a", connect(token(channels=["asked:~"]))),
        ask("b", connect(token("7~")), subscribe("asked:~")),
    ),
    script("recovered", *THREE, ask("a", _kept(1))),
    script("nothing was missed", *THREE, ask("a", _kept(3))),
    script("recovered from the beginning", *THREE, ask("a", _kept(0))),
    script("another epoch", *THREE, ask("a", _kept(1, epoch="other"))),
    script(
        "a position of a channel that isn't of the token",
        ask("a", connect(subs={"kept:~": {"recover": True, "offset": 1, "epoch": "x"}})),
    ),
    script("the first connection without a position", *THREE, ask("a", connect(token(channels=["kept:~"])))),
)
