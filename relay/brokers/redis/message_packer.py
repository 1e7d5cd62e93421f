"""The messages of back ends, packed as their channels need it."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from relay.brokers.envelope import seal
from relay.brokers.redis.announcement import KEY, read_announcement
from relay.brokers.redis.link import pack
from relay.brokers.redis.script_calls import BULK, ScriptedChannel, pack_call, pack_primary
from relay.brokers.redis.scripts import publish_scripts
from relay.brokers.redis.verbs import PUBSUB, pack_publish
from relay.logs import Logger
from relay.message import Message
from relay.namespaces import NO_NAMESPACES, Namespaces

ASK_AGAIN_SECONDS: Final = 60.0
"""For how long an answer of gateways is believed: a channel may get a history while a back end runs."""

UNTOLD_SECONDS: Final = 5.0
"""The same where nothing has been told: Redis may just have lost it, and gateways will tell it again."""

log = Logger("relay.bus")


class PackedMessage(NamedTuple):
    """A command that publishes, as redis-py takes it.

    Args:
        command: the command.
        load: loads the script that it calls; empty: it calls none.
    """

    command: list[bytes]
    load: list[bytes]


class MessagePacker:
    """Knows which channels have positions: a plain PUBLISH would go past their histories.

    Args:
        prefix: of the bus.
        namespaces: of the channels; None: as gateways have told in Redis.
    """

    def __init__(self, prefix: str, namespaces: Namespaces | None) -> None:
        self._prefix = prefix
        self._asks = namespaces is None
        self._namespaces = namespaces or NO_NAMESPACES
        self._ask_at = 0.0
        self._scripts = publish_scripts(PUBSUB.publish)
        self._question = [pack("GET", f"{prefix}{KEY}")]

    @property
    def question(self) -> list[bytes] | None:
        """What Redis has to be asked first, for `learn`; None: nothing."""
        return self._question if self._asks and time.monotonic() >= self._ask_at else None

    def learn(self, answer: bytes | RedisError | None) -> None:
        """Take the answer to the question, or its refusal.

        What was told before counts on where nothing is told any more: Redis has lost it, and not the channels their
        positions.

        Raises:
            ResponseError: Redis can't answer now.
        """
        if isinstance(answer, RedisError) and not isinstance(answer, NoPermissionError):
            raise ResponseError(str(answer)) from answer
        try:
            if isinstance(answer, bytes):
                self._namespaces = read_announcement(answer)
        except msgspec.DecodeError as error:
            raise ResponseError(f"{self._prefix}{KEY} isn't written by a gateway: {error}") from error
        self._ask_at = time.monotonic() + (UNTOLD_SECONDS if answer is None else ASK_AGAIN_SECONDS)
        if isinstance(answer, NoPermissionError):
            # A deployment without positions needs no such right. In others gateways notice what goes past histories.
            self._asks = False
            log.info("namespaces unknown", error=str(answer), key=f"{self._prefix}{KEY}")

    def pack(self, message: Message, idempotency_key: str | None) -> PackedMessage:
        """Return the command that publishes a message."""
        options = self._namespaces.options(message.channel)
        envelope = seal(message)
        if idempotency_key is None and not options.positioned:
            return PackedMessage([pack_publish((self._prefix + message.channel).encode(), envelope)], [])
        script = self._scripts.positioned if options.positioned else self._scripts.once
        scripted = ScriptedChannel(self._scripts, self._prefix, message.channel, options)
        call = scripted.call(BULK % (len(envelope), envelope), idempotency_key)
        # Which primary it is has to be asked each time: redis-py opens connections unseen, perhaps to another server.
        middle = pack_primary(b"")
        return PackedMessage([pack_call([call], middle)], [script.load])

    @staticmethod
    def receivers(reply: Any) -> int:
        """Return how many gateways have heard a message."""
        return int(reply[2][0] if isinstance(reply, list) else reply)
