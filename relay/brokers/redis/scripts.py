"""The scripts that publish with positions, and read histories, each in one step.

The keys of a channel, in one slot of a cluster; `PREFIX` is that of the bus:

    key                          type    what
    PREFIX{CHANNEL}:position     string  of the newest message; see below
    PREFIX{CHANNEL}:history      stream  of messages: each field of an entry is an envelope without a position. The id
                                         is `OFFSET-BYTES`: the offset of the last one, and such bytes before the first
                                         one, so the size of a part is the difference of two ids
    PREFIX{CHANNEL}:repeat:HASH  string  what was answered to the message with an idempotency key: `OFFSET EPOCH
                                         RECEIVERS`. The key's hash: a client that chooses it must not choose channels

A position has parts of fixed widths, so that the numbers that change with each message are overwritten alone, and none
of the others has to be searched for:

    16  offset
    16  bytes of all payloads and attributes so far
    16  those before the oldest message, at the last look at it
    16  when the times to live of both keys were set last: milliseconds since 1970, by Redis' clock
    21  epoch
    40  id of the primary in whose time it was written; spaces for none
    16  offset at which the epoch began
     -  the epoch before, or `-`

Rules:

* An epoch never gives out an offset twice. So a position without its hash begins a new epoch, without the old stream.
  And it belongs to one term of one primary: where the server is another one than the hash says, or was a replica
  meanwhile, it may lack a tail of what was published, and begins a new epoch. The count goes on, and so does the
  stream.
* The server's own `master_replid` says which term it is: a restart changes it, and so does each promotion. (So does an
  hour without any replica, after there was one: then a new epoch says more than it should.) The caller's idea of it
  spares the question. It must come from the same connection: an idea of an earlier server fits what a snapshot or a
  promoted replica has kept of that one, and would go on with its epoch. Who can't tell connections apart has none.
* Nothing is written before everything is known: a user that may not publish to the channel is refused first. (Redis
  before 7.0 can't be asked. There the message is refused, and stays in the history all the same.)
* One call publishes many messages, in their order. Each fails alone: what was appended to a channel is written down
  before any of it is published, and a channel that fails leaves the others as they are.
* Messages of one channel and call are kept as one entry, up to `GROUP`: of those that are published one after the other
  each would cost as much as all else that is done for it. They are read one by one (`relay.brokers.redis.entries`).
* The stream is cut to its size every 16th time, and only by whole nodes, which is cheaper. By its bytes it is cut at
  once: where to, is searched in growing steps. What has no room any more may be left in one entry with newer messages,
  or alone; readers leave it out.
* Times to live are set once in a pause, and are a pause longer: messages are kept for their time at least. A stream
  that has just begun has none, whatever is known of the one before, so it gets one at once.

The script that publishes has these keys: position and history of each channel, then the answer of an idempotency key,
with one message only. And these arguments:

    the caller's letters for epochs
    for each message the number of its channel, and for each channel the number of its options: a byte each, from 1 on
    the caller's idea of the primary
    size, time to live in ms, bytes, the position's lifetime in s and the pause between two renewals in ms, for each
      number of options
    the name of each channel, with the prefix; then each envelope

It answers with an array: 1 where this is an answer to an earlier message, else 0; the id of the primary where it was
asked for; an array with the receivers of each message, or why it was refused; then epoch and first offset for each
channel. A message that is alone and refused is answered by the error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from relay.brokers.history import FRESH_SECONDS, REPEAT_SECONDS
from relay.brokers.redis import lua, lua_position
from relay.brokers.redis.link import pack

CUT_EVERY: Final = 16

GROUP: Final = 16
"""Messages of one channel and call that are kept as one entry, at most."""

GROUP_BYTES: Final = 2048
"""Of their envelopes; only the last one may go beyond. Larger messages would gain nothing, and be read and kept for the
sake of others of their entry."""

DAY_SECONDS: Final = 24 * 3600


class Script(NamedTuple):
    """A script of Redis.

    Args:
        source: its text.
        sha: by which Redis knows it once it is loaded.
    """

    source: str
    sha: str

    @property
    def load(self) -> bytes:
        """The command that loads it."""
        return pack("SCRIPT", "LOAD", self.source)


class PublishScripts(NamedTuple):
    """The scripts that publish.

    Args:
        positioned: to channels with positions; see above. Without arguments it does nothing, and answers with an array.
        once: with an idempotency key to channels without positions. Its answer is the same, of an offset 0.
    """

    positioned: Script
    once: Script


def make_script(source: str, words: Mapping[str, object]) -> Script:
    """Return a script with all its words.

    Args:
        source: with places for them.
        words: by the names of their places.
    """
    for place, word in words.items():
        source = source.replace(f"%{place}%", str(word))
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_WORDS: Final = {
    "CUT": CUT_EVERY,
    "DAY": DAY_SECONDS,
    "FIELDS": ", ".join([f"'m{number or ''}'" for number in range(GROUP)]),
    "FRESH": FRESH_SECONDS,
    "GROUP": GROUP,
    "GROUP_BYTES": GROUP_BYTES,
    "REPEAT": REPEAT_SECONDS,
}


def publish_scripts(verb: bytes) -> PublishScripts:
    """Return the scripts for a kind of pub/sub; see `Verbs.publish`."""
    words = {**_WORDS, "VERB": verb.decode()}
    return PublishScripts(make_script(lua.PUBLISH, words), make_script(lua.PUBLISH_ONCE, words))


READ: Final = make_script(lua_position.READ, _WORDS)
"""Returns offset and epoch of the newest message, entries of the stream that may have what is wanted, the offset at
which the epoch began, the epoch before it or `-`, and the bytes of all messages so far."""


class Keys(NamedTuple):
    """The keys of a channel.

    Args:
        position, history: see the top of this module.
        repeat: what the keys of answers begin with.
    """

    position: bytes
    history: bytes
    repeat: bytes


def keys_of(prefix: str, channel: str) -> Keys:
    """Return the keys of a channel.

    Args:
        prefix: of the bus.
        channel: its name.
    """
    return Keys(*(channel_key(prefix, channel, kind) for kind in ("position", "history", "repeat:")))


def channel_key(prefix: str, channel: str, kind: str) -> bytes:
    """Return the name of a channel's key; all of one channel are in one slot.

    Args:
        prefix: of the bus.
        channel: its name.
        kind: what the key is of.
    """
    return f"{prefix}{{{channel}}}:{kind}".encode()


def hash_key(idempotency_key: str) -> bytes:
    """Return the last part of the key of an answer."""
    return hashlib.blake2b(idempotency_key.encode(errors="surrogatepass"), digest_size=16).hexdigest().encode()
