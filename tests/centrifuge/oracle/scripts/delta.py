"""Differences between messages instead of messages."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import (
    Api,
    Hear,
    LastEpoch,
    Script,
    Step,
    ask,
    connect,
    publish,
    script,
    subscribe,
    unsubscribe,
)

DELTA: Final = "delta:~"
LONG: Final = {"text": "a sentence that is long enough, so that a difference is much shorter than the message itself"}
FIRST, SECOND, OTHER = {**LONG, "n": 1}, {**LONG, "n": 2}, {"short": 1}


def _publish(data: object) -> Step:
    return Api("publish", {"channel": DELTA, "data": data})


def _pushed(data: object) -> tuple[Step, Step]:
    """Publish a message that a client hears."""
    return _publish(data), Hear("a", pushes=1)


SUBSCRIBED: Final = ask("a", connect(), subscribe(DELTA, delta="fossil", recoverable=True, positioned=True))

SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "the first whole, the second as a difference",
        SUBSCRIBED,
        *_pushed(FIRST),
        *_pushed(SECOND),
    ),
    script(
        "a difference that would be longer is a whole message",
        SUBSCRIBED,
        *_pushed(FIRST),
        *_pushed(OTHER),
    ),
    script("the same message again", SUBSCRIBED, *_pushed(FIRST), *_pushed(FIRST)),
    script(
        "what clients publish",
        SUBSCRIBED,
        ask("a", publish(DELTA, FIRST), pushes=1),
        ask("a", publish(DELTA, SECOND), pushes=1),
    ),
    script(
        "those who didn't ask get messages",
        ask("a", connect(), subscribe(DELTA)),
        *_pushed(FIRST),
        *_pushed(SECOND),
    ),
    script(
        "without positions",
        ask("a", connect(), subscribe(DELTA, delta="fossil")),
        *_pushed(FIRST),
        *_pushed(SECOND),
    ),
    script("where it isn't allowed", ask("a", connect(), subscribe("kept:~", delta="fossil", recoverable=True))),
    script("another kind of difference", ask("a", connect(), subscribe(DELTA, delta="other", recoverable=True))),
    script(
        "recovered messages",
        SUBSCRIBED,
        ask("a", unsubscribe(DELTA)),
        _publish(FIRST),
        _publish(SECOND),
        _publish(FIRST),
        ask("a", subscribe(DELTA, delta="fossil", recoverable=True, recover=True, epoch=LastEpoch(), offset=0)),
        *_pushed(SECOND),
    ),
    script(
        "nothing recovered, then live",
        SUBSCRIBED,
        *_pushed(FIRST),
        ask("a", unsubscribe(DELTA)),
        ask("a", subscribe(DELTA, delta="fossil", recoverable=True, recover=True, epoch=LastEpoch(), offset=1)),
        *_pushed(SECOND),
    ),
    script(
        "a new subscriber gets a whole message first",
        SUBSCRIBED,
        *_pushed(FIRST),
        ask("b", connect(), subscribe(DELTA, delta="fossil", recoverable=True)),
        _publish(SECOND),
        Hear("b", pushes=1),
        Hear("a", pushes=1),
    ),
    script(
        "a reply to history is whole",
        ask("a", connect()),
        _publish(FIRST),
        _publish(SECOND),
        ask("a", {"history": {"channel": DELTA, "limit": -1}}),
    ),
)
