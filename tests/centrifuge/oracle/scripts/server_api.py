"""What a back end does by the server API, as clients notice it."""

from __future__ import annotations

from typing import Any, Final

from tests.centrifuge.oracle.script import (
    Api,
    ClientOf,
    Closed,
    Hear,
    LastEpoch,
    Script,
    ask,
    connect,
    history,
    presence,
    script,
    subscribe,
    token,
)

IN: Final = ask("a", connect())


def _subscribed(name: str, channel: str = "open:~", **params: Any) -> Script:
    pushes = params.pop("pushes", 1)
    return script(name, IN, Api("subscribe", {"user": "42~", "channel": channel, **params}), Hear("a", pushes=pushes))


SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "publish",
        ask("a", connect(), subscribe("open:~")),
        Api("publish", {"channel": "open:~", "data": {"x": 1}}),
        Hear("a", pushes=1),
    ),
    script(
        "publish with tags",
        ask("a", connect(), subscribe("open:~")),
        Api("publish", {"channel": "open:~", "data": 1, "tags": {"a": "b", "c": "d"}}),
        Hear("a", pushes=1),
    ),
    script(
        "publish where messages are kept",
        ask("a", connect(), subscribe("kept:~", positioned=True)),
        Api("publish", {"channel": "kept:~", "data": 1}),
        Hear("a", pushes=1),
    ),
    script(
        "publish without keeping",
        ask("a", connect(), subscribe("kept:~", positioned=True)),
        Api("publish", {"channel": "kept:~", "data": 1, "skip_history": True}),
        ask("a", history("kept:~", limit=-1)),
    ),
    script(
        "publish twice with one key",
        ask("a", connect(), subscribe("kept:~")),
        Api("publish", {"channel": "kept:~", "data": 1, "idempotency_key": "k"}),
        Api("publish", {"channel": "kept:~", "data": 2, "idempotency_key": "k"}),
        Hear("a", pushes=1),
    ),
    script(
        "publish twice with one key where nothing is kept",
        ask("a", connect(), subscribe("open:~")),
        Api("publish", {"channel": "open:~", "data": 1, "idempotency_key": "k"}),
        Api("publish", {"channel": "open:~", "data": 2, "idempotency_key": "k"}),
        Hear("a", pushes=1),
    ),
    script(
        "publish data in base64",
        ask("a", connect(), subscribe("open:~")),
        Api("publish", {"channel": "open:~", "b64data": "eyJ4IjoxfQ=="}),
        Hear("a", pushes=1),
    ),
    script("publish to a namespace that isn't there", Api("publish", {"channel": "nowhere:~", "data": 1})),
    script("publish without a channel", Api("publish", {"data": 1})),
    script("publish without data", Api("publish", {"channel": "open:~"})),
    script(
        "broadcast",
        ask("a", connect(), subscribe("open:1~"), subscribe("kept:2~")),
        Api("broadcast", {"channels": ["open:1~", "kept:2~", "nowhere:~"], "data": 1}),
        Hear("a", pushes=2),
    ),
    _subscribed("subscribe a user"),
    _subscribed("subscribe a user with data and info", data={"hello": 1}, info={"seat": 1}),
    _subscribed("subscribe a user where positions are forced", "kept:~"),
    _subscribed("subscribe a user and hear the joining", "told:~", pushes=2),
    _subscribed("subscribe a user to a namespace that isn't there", "nowhere:~", pushes=0),
    _subscribed("subscribe a user to a closed channel", "closed:~"),
    _subscribed("subscribe one client that is another's", client="nobody", pushes=0),
    script(
        "subscribe one client of a user",
        IN,
        ask("b", connect()),
        Api("subscribe", {"user": "42~", "channel": "open:~", "client": ClientOf("a")}),
        Hear("a", pushes=1),
    ),
    script(
        "subscribe a user twice",
        IN,
        Api("subscribe", {"user": "42~", "channel": "open:~"}),
        Hear("a", pushes=1),
        Api("subscribe", {"user": "42~", "channel": "open:~"}),
    ),
    script(
        "subscribe a user who is subscribed by itself",
        ask("a", connect(), subscribe("open:~")),
        Api("subscribe", {"user": "42~", "channel": "open:~"}),
    ),
    script(
        "subscribe with a position",
        IN,
        Api("publish", {"channel": "kept:~", "data": 1}),
        Api("publish", {"channel": "kept:~", "data": 2}),
        ask("a", history("kept:~")),
        Api("subscribe", {"user": "42~", "channel": "kept:~", "recover_since": {"offset": 1, "epoch": LastEpoch()}}),
    ),
    script(
        "info of a subscription by the back end",
        IN,
        Api("subscribe", {"user": "42~", "channel": "open:~", "info": {"seat": 1}}),
        Hear("a", pushes=1),
        ask("a", presence("open:~")),
    ),
    script(
        "unsubscribe a user by the back end",
        ask("a", connect(), subscribe("open:~")),
        Api("unsubscribe", {"user": "42~", "channel": "open:~"}),
        Hear("a", pushes=1),
        ask("a", subscribe("open:~")),
    ),
    script(
        "unsubscribe what was subscribed by the back end",
        IN,
        Api("subscribe", {"user": "42~", "channel": "open:~"}),
        Hear("a", pushes=1),
        Api("unsubscribe", {"user": "42~", "channel": "open:~"}),
        Hear("a", pushes=1),
    ),
    script(
        "unsubscribe a channel of the token",
        ask("a", connect(token(channels=["open:~"]))),
        Api("unsubscribe", {"user": "42~", "channel": "open:~"}),
        Hear("a", pushes=1),
    ),
    script(
        "unsubscribe a user who isn't subscribed",
        IN,
        Api("unsubscribe", {"user": "42~", "channel": "open:~"}),
    ),
    script(
        "unsubscribe one client",
        ask("a", connect(), subscribe("open:~")),
        ask("b", connect(), subscribe("open:~")),
        Api("unsubscribe", {"user": "42~", "channel": "open:~", "client": ClientOf("a")}),
        Hear("a", pushes=1),
    ),
    script("disconnect a user", IN, Api("disconnect", {"user": "42~"}), Closed("a")),
    script(
        "disconnect with a code and a reason",
        IN,
        Api("disconnect", {"user": "42~", "disconnect": {"code": 4501, "reason": "go away"}}),
        Closed("a"),
    ),
    script(
        "disconnect with a code below 3000",
        IN,
        Api("disconnect", {"user": "42~", "disconnect": {"code": 5, "reason": "x"}}),
        ask("a", subscribe("open:~")),
    ),
    script(
        "disconnect one client",
        IN,
        ask("b", connect()),
        Api("disconnect", {"user": "42~", "client": ClientOf("a")}),
        Closed("a"),
        ask("b", subscribe("open:~")),
    ),
    script(
        "disconnect all but one",
        IN,
        ask("b", connect()),
        Api("disconnect", {"user": "42~", "whitelist": [ClientOf("b")]}),
        Closed("a"),
        ask("b", subscribe("open:~")),
    ),
    script("disconnect nobody", Api("disconnect", {"user": "7~"})),
    script("disconnect without a user", Api("disconnect", {})),
    script(
        "refresh a user",
        ask("a", connect(token(exp=3600))),
        Api("refresh", {"user": "42~", "expire_at": 4102444800}),
        Hear("a", pushes=1),
    ),
    script(
        "refresh a user whose token never expires",
        IN,
        Api("refresh", {"user": "42~", "expire_at": 4102444800}),
        Hear("a", pushes=1),
    ),
    script(
        "refresh into the past",
        ask("a", connect(token(exp=3600))),
        Api("refresh", {"user": "42~", "expire_at": 1000}),
        ask("a", subscribe("open:~")),
    ),
    script(
        "refresh as expired",
        ask("a", connect(token(exp=3600))),
        Api("refresh", {"user": "42~", "expired": True}),
        Closed("a"),
    ),
    script(
        "refresh one client",
        ask("a", connect(token(exp=3600))),
        ask("b", connect(token(exp=3600))),
        Api("refresh", {"user": "42~", "client": ClientOf("a"), "expire_at": 4102444800}),
        Hear("a", pushes=1),
    ),
    script(
        "presence",
        ask("a", connect(token(info={"name": "Ann"})), subscribe("told:~", join_leave=True), pushes=1),
        Api("presence", {"channel": "told:~"}),
        Api("presence_stats", {"channel": "told:~"}),
    ),
    script(
        "presence where there is none",
        Api("presence", {"channel": "kept:~"}),
        Api("presence_stats", {"channel": "kept:~"}),
    ),
    script(
        "history",
        Api("publish", {"channel": "kept:~", "data": 1, "tags": {"a": "b"}}),
        Api("history", {"channel": "kept:~", "limit": 10}),
        Api("history", {"channel": "kept:~"}),
        Api("history", {"channel": "kept:~", "limit": 1, "since": {"offset": 0, "epoch": "other"}}),
    ),
    script(
        "batch",
        ask("a", connect(), subscribe("kept:~")),
        Api(
            "batch",
            {
                "commands": [
                    {"publish": {"channel": "kept:~", "data": 1}},
                    {"publish": {"channel": "nowhere:~", "data": 2}},
                    {"history": {"channel": "kept:~", "limit": 10}},
                ]
            },
        ),
        Hear("a", pushes=1),
    ),
    script("channels", ask("a", connect(), subscribe("open:~")), Api("channels", {"pattern": "open:~"})),
    script("a method that nobody knows", Api("dance", {})),
    script("rpc for a back end", Api("rpc", {"method": "add", "params": {}})),
    script("history where there is none", Api("history", {"channel": "open:~"})),
    script(
        "history_remove",
        ask("a", connect(), subscribe("kept:~", recoverable=True)),
        Api("publish", {"channel": "kept:~", "data": 1}),
        Hear("a", pushes=1),
        Api("history_remove", {"channel": "kept:~"}),
        ask("a", history("kept:~", limit=-1)),
        Api("publish", {"channel": "kept:~", "data": 2}),
        Hear("a", pushes=1),
    ),
)
