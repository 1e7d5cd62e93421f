"""How a client of the Centrifuge protocol says who it is, and is subscribed to what the server wants for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from relay.errors import Disconnect, RelayError
from relay.position import Position
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.channel_commands import subscribe_result, ttl
from relay.protocols.centrifuge.commands import ConnectRequest
from relay.protocols.centrifuge.exchange import Exchange
from relay.protocols.centrifuge.failures import disconnect_of, is_expired
from relay.protocols.centrifuge.results import ConnectResult, RefreshResult, SubscribeResult
from relay.protocols.multiplexed import Introduced, ServerSubscription, SubscribeOptions
from relay.protocols.request import ConnectRequest as OpeningRequest
from relay.replay import Replay
from relay.version import __version__


class Introduction:
    """One `connect` of a client, until it is answered.

    Args:
        exchange: the command.
        request: of the command.
        done: called when it is known who the client is, and all subscriptions have begun: before the answer.
        failed: called when the client isn't let in.
    """

    __slots__ = ("_done", "_exchange", "_failed", "_introduced", "_left", "_request", "_results")

    def __init__(
        self, exchange: Exchange, request: ConnectRequest, done: Callable[[], object], failed: Callable[[], object]
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._done = done
        self._failed = failed
        self._introduced = Introduced()
        self._results: dict[str, SubscribeResult] = {}
        self._left = 0

    def begin(self, opening: OpeningRequest) -> None:
        """Find out who the client is.

        Args:
            opening: the request that has opened the connection.
        """
        request = self._request
        self._exchange.session.introduce(opening, request.token, request.headers, self._be_told)

    def _be_told(self, introduced: Introduced | RelayError) -> None:
        exchange = self._exchange
        if isinstance(introduced, RelayError):
            self._failed()
            if is_expired(introduced):
                exchange.refuse(codes.ERROR_TOKEN_EXPIRED)
            else:
                exchange.close(disconnect_of(introduced))
            return
        self._introduced = introduced
        self._left = len(introduced.subscriptions)
        if not self._left:
            self._answer()
            return
        exchange.session.hold_deliveries()
        for channel, subscription in introduced.subscriptions.items():
            known = self._request.subs.get(channel)
            recover = known is not None and known.recover
            resume = Position(known.epoch, known.offset) if known is not None and known.recover else 0
            options = SubscribeOptions(resume=resume, granted=True, info=subscription.info)
            begun = partial(self._begin_subscription, channel, recover, subscription)
            try:
                exchange.session.subscribe(channel, begun, options)
            except RelayError as failure:
                begun(failure)

    def _begin_subscription(
        self, channel: str, recover: bool, subscription: ServerSubscription, begun: Replay | RelayError | None
    ) -> None:
        exchange = self._exchange
        if self._left <= 0:
            return  # another one has failed, and the client is being closed
        if isinstance(begun, RelayError):
            self._left = 0
            self._failed()
            exchange.close(Disconnect.UNAVAILABLE)  # it comes again, and finds them all
            return
        exchange.connection.server_side.add(channel)
        options = exchange.session.options(channel)
        self._results[channel] = subscribe_result(
            exchange.connection.wire, options, recover, begun, None, subscription.data
        )
        self._left -= 1
        if not self._left:
            self._answer()

    def _answer(self) -> None:
        exchange, introduced = self._exchange, self._introduced
        session, wire = exchange.session, exchange.connection.wire
        self._done()
        result = ConnectResult(
            client=session.id.hex(),
            version=f"relay {__version__}",
            expires=introduced.seconds is not None,
            ttl=ttl(introduced.seconds),
            data=wire.data(introduced.data),
            subs=self._results or None,
            ping=max(1, round(session.ping_seconds)),
            pong=True,
        )
        if self._results:
            session.release_deliveries(wire.reply(exchange.id, result))
            exchange.connection.end(exchange.kind, b"")
        else:
            exchange.reply(result)


def refresh(exchange: Exchange, token: str, remote: str) -> None:
    """Let a client stay for longer, as a token says.

    Args:
        exchange: the command.
        token: of the client.
        remote: its address.
    """
    if not token:
        exchange.refuse(codes.ERROR_BAD_REQUEST)
        return
    exchange.session.introduce(OpeningRequest("/", {}, {}, remote), token, {}, partial(_refreshed, exchange))


def _refreshed(exchange: Exchange, introduced: Introduced | RelayError) -> None:
    if isinstance(introduced, RelayError):
        if is_expired(introduced):
            exchange.refuse(codes.ERROR_TOKEN_EXPIRED)
        else:
            exchange.close(disconnect_of(introduced))
        return
    seconds = introduced.seconds
    exchange.reply(
        RefreshResult(
            client=exchange.session.id.hex(),
            version=f"relay {__version__}",
            expires=seconds is not None,
            ttl=ttl(seconds),
        )
    )
