"""The commands of Redis pub/sub, as data, and the one place that packs a PUBLISH."""

from __future__ import annotations

from typing import NamedTuple


class Verbs(NamedTuple):
    """The commands of one kind of Redis pub/sub.

    Args:
        subscribe: begins subscriptions.
        unsubscribe: ends subscriptions.
        publish: sends a message to one channel.
        message: the first element of what a subscriber receives.
    """

    subscribe: bytes
    unsubscribe: bytes
    publish: bytes
    message: bytes


PUBSUB = Verbs(b"SUBSCRIBE", b"UNSUBSCRIBE", b"PUBLISH", b"message")

SHARDED_PUBSUB = Verbs(b"SSUBSCRIBE", b"SUNSUBSCRIBE", b"SPUBLISH", b"smessage")
"""Of a Redis Cluster, from Redis 7 on: a message goes to the subscribers at the node of its channel only. All channels
of one SSUBSCRIBE must belong to one slot."""


def publish_template(verb: bytes, key: bytes) -> bytes:
    """Return the command that publishes to a channel, without its payload.

    To be completed with `template % (len(payload), payload)`, by the caller: a call would cost as much as that. All of
    it by hiredis takes twice the time.

    Args:
        verb: see `Verbs.publish`.
        key: name of the channel on Redis, with its prefix.
    """
    head = b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$" % (len(verb), verb, len(key), key)
    return head.replace(b"%", b"%%") + b"%d\r\n%b\r\n"


def pack_publish(key: bytes, payload: bytes, verb: bytes = PUBSUB.publish) -> bytes:
    """Return the whole command that publishes a payload; see `publish_template`."""
    return publish_template(verb, key) % (len(payload), payload)
