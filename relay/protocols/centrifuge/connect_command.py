"""How a client of the Centrifuge protocol says who it is, and is subscribed to what the server wants for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from relay.errors import ChannelError, Disconnect, NotAllowed, Refused, RelayError
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.commands import ConnectRequest, SubscribeRequest
from relay.protocols.centrifuge.exchange import Exchange
from relay.protocols.centrifuge.failures import disconnect_of, is_renewable
from relay.protocols.centrifuge.results import ConnectResult, RefreshResult, SubscribeResult
from relay.protocols.centrifuge.subscriptions import Recovery, resume_of, ttl
from relay.protocols.multiplexed import ConnectGrant, Granted, ServerSubscription, SubscribeOptions
from relay.protocols.request import ConnectRequest as OpeningRequest
from relay.replay import Replay
from relay.version import __version__

VERSION: Final = f"relay {__version__}"
"""Of the server, as clients are told."""


class ConnectCommand:
    """One `connect` of a client, until it is answered.

    Args:
        exchange: the command.
        request: of the command.
        done: called with True when it is known who the client is, and all subscriptions have begun: before the answer;
            with False when the client isn't let in.
    """

    __slots__ = ("_done", "_exchange", "_grant", "_left", "_request", "_results")

    def __init__(self, exchange: Exchange, request: ConnectRequest, done: Callable[[bool], object]) -> None:
        self._exchange = exchange
        self._request = request
        self._done = done
        self._grant = ConnectGrant()
        self._results: dict[str, SubscribeResult] = {}
        self._left = 0

    def begin(self, opening: OpeningRequest) -> None:
        """Find out who the client is.

        Args:
            opening: the request that has opened the connection.
        """
        request = self._request
        self._exchange.session.connect(opening, request.token, request.headers, self._be_told)

    def _be_told(self, grant: ConnectGrant | RelayError) -> None:
        exchange = self._exchange
        if isinstance(grant, RelayError):
            self._done(False)
            if is_renewable(grant):
                exchange.refuse(codes.ERROR_TOKEN_EXPIRED)
            else:
                exchange.close(disconnect_of(grant))
            return
        self._grant = grant
        wanted = {channel: one for channel, one in self._request.subs.items() if channel not in grant.subscriptions}
        self._left = len(grant.subscriptions) + len(wanted)
        if not self._left:
            self._answer()
            return
        if not exchange.session.fits(self._left):  # before each of them costs something
            self._left = 0
            self._done(False)
            exchange.close(Disconnect.TOO_MANY_CHANNELS)
            return
        exchange.session.hold_deliveries()
        for channel, subscription in grant.subscriptions.items():
            self._subscribe(channel, subscription, granted=True)
        for channel in wanted:
            self._subscribe(channel, ServerSubscription(), granted=False)

    def _subscribe(self, channel: str, subscription: ServerSubscription, *, granted: bool) -> None:
        """Subscribe the client to a channel that it knows from before, or that it is to have.

        Args:
            channel: its name.
            subscription: what it is given with it.
            granted: whether it may, whatever its rights say; False: it has asked, and gets none if it may not.
        """
        if self._left <= 0:
            return  # another one has failed, and the client is being closed
        session, known = self._exchange.session, self._request.subs.get(channel)
        resume = resume_of(session.options(channel), known)
        options = SubscribeOptions(resume=resume, granted=granted, info=subscription.info)
        begun = partial(self._begin_subscription, channel, known, subscription, granted)
        try:
            session.subscribe(channel, begun, options)
        except RelayError as failure:
            begun(failure)

    def _begin_subscription(
        self,
        channel: str,
        known: SubscribeRequest | None,
        subscription: ServerSubscription,
        granted: bool,
        begun: Replay | RelayError | None,
    ) -> None:
        exchange = self._exchange
        if self._left <= 0:
            return  # another one has failed, and the client is being closed
        if isinstance(begun, RelayError):
            if granted or not isinstance(begun, NotAllowed | ChannelError):
                self._left = 0
                self._done(False)
                exchange.close(disconnect_of(begun))
                return
        else:
            exchange.connection.server_side.add(channel)
            found = Recovery(exchange.session.options(channel), known, begun)
            self._results[channel] = found.result(exchange.connection.wire, granted=Granted(data=subscription.data))
        self._left -= 1
        if not self._left:
            self._answer()

    def _answer(self) -> None:
        exchange, grant = self._exchange, self._grant
        session, wire = exchange.session, exchange.connection.wire
        self._done(True)
        result = ConnectResult(
            client=session.id.hex(),
            version=VERSION,
            expires=grant.seconds is not None,
            ttl=ttl(grant.seconds),
            data=wire.data(grant.data),
            subs=self._results or None,
            ping=max(1, round(session.ping_seconds)),
            pong=True,
        )
        exchange.reply(exchange.connection.complete(result))


def refresh(exchange: Exchange, token: str) -> None:
    """Let a client stay for longer, as a token says.

    Args:
        exchange: the command.
        token: of the client.
    """
    if not token:
        exchange.close(Disconnect.UNEXPECTED_DATA)
        return
    exchange.session.connect(None, token, {}, partial(_refreshed, exchange))


def _refreshed(exchange: Exchange, grant: ConnectGrant | RelayError) -> None:
    if isinstance(grant, RelayError):
        if is_renewable(grant):
            exchange.close(Disconnect.TOKEN_EXPIRED)
        elif isinstance(grant, Refused) and grant.status == 403:
            exchange.close(Disconnect.INVALID_TOKEN)  # of another user
        else:
            exchange.close(disconnect_of(grant))
        return
    exchange.reply(RefreshResult(expires=grant.seconds is not None, ttl=ttl(grant.seconds)))
