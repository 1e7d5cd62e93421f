"""A client of gateways, as programs use it."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Final, Self
from weakref import WeakSet

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from relay.channel import check_channel
from relay.position import parse_position
from relay.sdk.backoff import Backoff
from relay.sdk.event_source import EventSource
from relay.sdk.gateway_address import AddressError, GatewayAddress
from relay.sdk.http_publisher import HttpPublisher, Published
from relay.sdk.notice import Missed, Watch
from relay.sdk.subscription import Subscription
from relay.sdk.token_source import Token, TokenSource

KEEPALIVE_SECONDS: Final = 5.0
"""For a connection that waits for the next message to publish; less than gateways and proxies keep one."""


class Client:
    """Listens to channels and publishes to them, through a gateway.

        async with relay.Client("https://relay.example.com", token=fetch_token) as client:
            async for message in client.subscribe("lobby"):
                print(message.data)

    It belongs to one event loop, the one that runs when it is first used. It has no task of its own, and reads nothing
    of the environment.

    Args:
        url: address of a gateway, such as `http://localhost:8000`; a path in front of `/sse` belongs to it.
        token: key or token to come in with, or a function that returns one, which may be async: it is asked before the
            first request, and again when a gateway no longer takes what it has returned. None: come in without.
        tls: for https://; None: the authorities of the system are trusted.
        connect_timeout: seconds until a gateway has subscribed a stream; then it is tried again.
        silence_timeout: seconds without even a heartbeat after which a stream is opened anew; more than
            RELAY_PING_INTERVAL.
        publish_timeout: seconds until a message is acknowledged; for each try.
        max_reconnect_delay: seconds between two tries at most, besides those for which a gateway asks.
        buffer_bytes: of each subscription, that wait here when the program is slow; then nothing more is read.
        max_message_bytes: largest message; a larger one ends its subscription with `MessageTooBig`. None: of any size.

    Raises:
        AddressError: the URL is none of a gateway; it is a `ValueError`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 10.0,
        silence_timeout: float = 120.0,
        publish_timeout: float = 15.0,
        max_reconnect_delay: float = 5.0,
        buffer_bytes: int = 262_144,
        max_message_bytes: int | None = 16_777_216,
    ) -> None:
        try:
            address = GatewayAddress.parse(url)
        except AddressError as error:
            raise AddressError(f"url: {error.rule}") from None  # without the text itself, which may hold a secret
        self._tokens = TokenSource(token)
        self._max_reconnect_delay = max_reconnect_delay
        self._source = EventSource(
            address,
            self._get_session,
            tls=tls,
            connect_seconds=connect_timeout,
            silence_seconds=silence_timeout,
            buffer_bytes=buffer_bytes,
            max_message_bytes=max_message_bytes,
        )
        self._publisher = HttpPublisher(
            address,
            self._get_session,
            self._tokens,
            tls=tls,
            connect_seconds=connect_timeout,
            timeout_seconds=publish_timeout,
            longest_pause_seconds=max_reconnect_delay,
        )
        self._session: ClientSession | None = None
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def subscribe(
        self,
        channel: str,
        *,
        since: str | None = None,
        history: int = 0,
        missed: Missed | None = None,
        watch: Watch | None = None,
    ) -> Subscription:
        """Return the messages of a channel, for `async for`. Nothing is sent before it is read.

        After a break it comes back by itself. In a channel with a history it goes on where it was: no message is lost,
        and none comes twice. Elsewhere, and when the history no longer reaches back, `missed` is called; without it
        `MessagesMissed` is raised.

        Args:
            channel: name of the channel.
            since: position after which to begin, such as that of the last message that was dealt with; None: with what
                is published from now on.
            history: with how many of the newest messages to begin instead.
            missed: called in place of the messages that may be missing, with the position after which the channel
                goes on, or None; what it returns is awaited if it can be. It is called again at the next wait when
                it has raised, or was cancelled.
            watch: called, in the same way and in order with the messages, with each user that comes to the channel or
                goes; with None where some may be missing before, as at the beginning. The channel needs the option
                `join_leave`, and the client the right `p`.

        Raises:
            ChannelError, PositionError: the name or the position is not legal.
        """
        if self._closed:
            raise RuntimeError("the client is closed")
        if since is not None:
            parse_position(since)
        backoff = Backoff(self._max_reconnect_delay)
        subscription = Subscription(
            self._source,
            self._tokens,
            check_channel(channel),
            backoff,
            since=since,
            history=history,
            missed=missed,
            watch=watch,
        )
        self._subscriptions.add(subscription)
        return subscription

    async def publish(self, channel: str, data: str | bytes, *, idempotency_key: str | None = None) -> Published:
        """Send a message to every client of a channel; return once the bus has acknowledged it.

        Args:
            channel: name of the channel.
            data: text; bytes are a binary message.
            idempotency_key: names the message: it is tried again after errors, and not published twice.

        Raises:
            ChannelError, IdempotencyKeyError: the name or the key is not legal.
            ClientRefused: the message was not published, such as without the right to.
            BusUnavailable: it was not published: no gateway can be reached, or none of them its bus.
            DeliveryUnknown: it may or may not have been published; so may it when a proxy in front says 503.
        """
        return await self._publisher.publish(channel, data, idempotency_key)

    async def aclose(self) -> None:
        """End all subscriptions and connections. Loops that wait for messages end."""
        self._closed = True
        for subscription in list(self._subscriptions):
            await subscription.aclose()
        if self._session is not None:
            await self._session.close()

    def _get_session(self) -> ClientSession:
        """Return the HTTP client, which belongs to the running event loop from now on."""
        if self._closed:
            raise RuntimeError("the client is closed")
        if self._session is None:
            # Each subscription keeps a connection. Cookies of a load balancer would keep a client on one gateway.
            connector = TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS)
            self._session = ClientSession(connector=connector, cookie_jar=DummyCookieJar())
        return self._session
