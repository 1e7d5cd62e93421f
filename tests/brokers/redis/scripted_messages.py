"""Messages that scripts publish, and Redis' answers to them."""

from __future__ import annotations

from functools import cache

import hiredis

from relay.brokers.redis.script_calls import BULK, ScriptCall, ScriptedChannel, pack_call
from relay.brokers.redis.scripts import publish_scripts
from relay.namespaces import ChannelOptions
from tests.brokers.recording import Outcomes, RecordingSource
from tests.brokers.redis.publication_desk import Desk

SCRIPTS = publish_scripts(b"PUBLISH")
LOADED = b"$3\r\nsha\r\n" * 2
NO_SCRIPT = b"-NOSCRIPT No matching script.\r\n"
ONE = b":1\r\n"


@cache
def scripted(channel: str) -> ScriptedChannel:
    return ScriptedChannel(SCRIPTS, "relay:", channel, ChannelOptions(history_size=7))


def call(name: str, channel: str | None = None) -> ScriptCall:
    """Return the call that publishes a message to a channel, or to one of its own."""
    return scripted(channel or name).call(BULK % (len(name), name.encode()), None)


def say(
    desk: Desk, name: str, source: RecordingSource, receipt: Outcomes | None = None, channel: str | None = None
) -> None:
    """Publish by a script."""
    desk.publications.publish(call(name, channel), source, receipt)


def written(desk: Desk, *names: str) -> bytes:
    """Return the calls of messages, each alone in a channel of its own."""
    return b"".join(pack_call([call(name)], desk.scripting.middle) for name in names)


def answer(offset: int, repeated: int = 0, primary: str = "") -> bytes:
    return answer_all([2], offset, repeated=repeated, primary=primary)


def answer_all(results: list[int | bytes], *offsets: int, repeated: int = 0, primary: str = "") -> bytes:
    """Return the answer to a call: a number or an error for each message, and the first offset of each channel."""
    told = b"".join(b":%d\r\n" % result if isinstance(result, int) else result for result in results)
    places = b"".join(b"$1\r\ne\r\n:%d\r\n" % offset for offset in offsets)
    head = b":%d\r\n" % repeated + BULK % (len(primary), primary.encode())
    return b"*%d\r\n" % (3 + 2 * len(offsets)) + head + b"*%d\r\n" % len(results) + told + places


def parse(command: bytes) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(command)
    parsed = reader.gets()
    assert isinstance(parsed, list)
    assert reader.gets() is False
    return parsed
