"""Clients that come back with a position."""

from __future__ import annotations

from typing import Any, Final

from tests.centrifuge.oracle.script import (
    Api,
    Ask,
    Hear,
    LastEpoch,
    Leave,
    Script,
    Step,
    ask,
    connect,
    publish,
    script,
    subscribe,
    unsubscribe,
)

KEPT: Final = "kept:~"
OPTIONAL: Final = "optional:~"
REJECT_UNRECOVERED: Final = 2


def _published(count: int, channel: str = KEPT) -> tuple[Step, ...]:
    """A client that knows the channel's epoch, which then has some messages."""
    return (
        ask("a", connect(), subscribe(channel, recoverable=True, positioned=True)),
        ask("a", unsubscribe(channel)),
        *(Api("publish", {"channel": channel, "data": {"n": number}}) for number in range(1, count + 1)),
    )


def _back(offset: int | None, channel: str = KEPT, **fields: Any) -> Ask:
    position: dict[str, Any] = {} if offset is None else {"offset": offset}
    given = {"recover": True, "recoverable": True, "positioned": True, "epoch": LastEpoch(), **position, **fields}
    return ask("a", subscribe(channel, **given))


SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "a position with the first subscription",
        ask("a", connect(), subscribe(KEPT, recoverable=True, positioned=True)),
    ),
    script("positions for those who don't ask for them", ask("a", connect(), subscribe(KEPT))),
    script("positions for those alone who ask for them", ask("a", connect(), subscribe(OPTIONAL))),
    script("recoverable where that is optional", ask("a", connect(), subscribe(OPTIONAL, recoverable=True))),
    script("positioned where that is optional", ask("a", connect(), subscribe(OPTIONAL, positioned=True))),
    script(
        "recover without recoverable where that is optional",
        ask("a", connect(), subscribe(OPTIONAL, recover=True, epoch="x", offset=1)),
    ),
    script(
        "recoverable where nothing is kept", ask("a", connect(), subscribe("open:~", recoverable=True, positioned=True))
    ),
    script(
        "recover where nothing is kept",
        ask("a", connect(), subscribe("open:~", recover=True, recoverable=True, epoch="x", offset=1)),
    ),
    script(
        "recover where nothing is kept, or else an error",
        ask(
            "a",
            connect(),
            subscribe("open:~", recover=True, recoverable=True, epoch="x", offset=1, flag=REJECT_UNRECOVERED),
        ),
    ),
    script(
        "the position of a channel that has messages",
        ask("a", connect(), publish("kept:~", 1), subscribe("kept:~")),
    ),
    script("a position behind messages", *_published(3), ask("a", subscribe(KEPT, recoverable=True))),
    script("all that was missed", *_published(3), _back(1)),
    script("all from the beginning", *_published(3), _back(0)),
    script("an offset that is left out is 0", *_published(3), _back(None)),
    script("nothing was missed", *_published(3), _back(3)),
    script("nothing was ever published", *_published(0), _back(0)),
    script(
        "recovered and then live",
        *_published(2),
        _back(1),
        Api("publish", {"channel": KEPT, "data": "live"}),
        Hear("a", pushes=1),
    ),
    script("with the flag that allows numbers for channels", *_published(2), _back(1, flag=1)),
    script("messages that are gone", *_published(5, "short:~"), _back(1, "short:~")),
    script("just what is still there", *_published(5, "short:~"), _back(2, "short:~")),
    script(
        "messages that are gone, or else an error",
        *_published(5, "short:~"),
        _back(1, "short:~", flag=REJECT_UNRECOVERED),
    ),
    script("an offset above the newest", *_published(2), _back(7)),
    script("another epoch", *_published(2), _back(1, epoch="other")),
    script("another epoch, or else an error", *_published(2), _back(1, epoch="other", flag=REJECT_UNRECOVERED)),
    script("another epoch and the newest offset", *_published(2), _back(2, epoch="other")),
    script("another epoch of an empty channel", *_published(0), _back(0, epoch="other")),
    script("no epoch is any epoch", *_published(2), _back(1, epoch="")),
    script("the underscore that SDKs send after a lost state", *_published(2), _back(1, epoch="_")),
    script("recover without recoverable", *_published(2), _back(1, recoverable=False, positioned=False)),
    script(
        "after a refusal the channel may be subscribed to again",
        *_published(2),
        _back(1, epoch="other", flag=REJECT_UNRECOVERED),
        _back(1),
    ),
    script("by another connection", *_published(3), Leave("a"), ask("a", connect()), _back(2)),
    script(
        "tags and info of recovered messages",
        ask("a", connect(), subscribe(KEPT, recoverable=True)),
        ask("a", publish(KEPT, 1), pushes=1),
        ask("a", unsubscribe(KEPT)),
        Api("publish", {"channel": KEPT, "data": 2, "tags": {"a": "b"}}),
        _back(0),
    ),
)
