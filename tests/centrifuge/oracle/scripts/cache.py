"""Channels that give the newest message to whoever comes."""

from __future__ import annotations

from typing import Any, Final

from tests.centrifuge.oracle.script import (
    Api,
    Ask,
    Hear,
    LastEpoch,
    Script,
    Step,
    ask,
    connect,
    script,
    subscribe,
    unsubscribe,
)

CACHE: Final = "cache:~"


def _published(count: int) -> tuple[Step, ...]:
    return (
        ask("a", connect(), subscribe(CACHE, recoverable=True)),
        ask("a", unsubscribe(CACHE)),
        *(Api("publish", {"channel": CACHE, "data": {"n": number}}) for number in range(1, count + 1)),
    )


def _back(offset: int, **fields: Any) -> Ask:
    return ask(
        "a",
        subscribe(CACHE, **{"recover": True, "recoverable": True, "epoch": LastEpoch(), "offset": offset, **fields}),
    )


SCRIPTS: Final[tuple[Script, ...]] = (
    script("the first subscription without recover", *_published(3), ask("a", subscribe(CACHE, recoverable=True))),
    script("the newest alone", *_published(3), _back(1)),
    script("the newest from the beginning", *_published(3), _back(0)),
    script("as SDKs begin with a cache", *_published(3), _back(0, epoch="")),
    script("nothing new", *_published(3), _back(3)),
    script("another epoch", *_published(3), _back(1, epoch="other")),
    script("another epoch, or else an error", *_published(3), _back(1, epoch="other", flag=2)),
    script("an empty channel", *_published(0), _back(0)),
    script("an empty channel and no epoch", *_published(0), _back(0, epoch="")),
    script("an empty channel, or else an error", *_published(0), _back(0, epoch="other", flag=2)),
    script(
        "live messages follow",
        *_published(2),
        _back(1),
        Api("publish", {"channel": CACHE, "data": "live"}),
        Hear("a", pushes=1),
    ),
)
