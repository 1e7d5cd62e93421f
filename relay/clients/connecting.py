"""Who a client of several channels is, as it says after its handshake; and what tokens of channels give it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping
from inspect import isawaitable
from typing import Final, Protocol

from msgspec.structs import replace

from relay.auth.authenticator import Identity
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.registry import Connected
from relay.clients.session_context import SessionContext
from relay.errors import Refused, RelayError, Unavailable
from relay.logs import Logger, trace
from relay.protocols.multiplexed import ConnectGrant
from relay.protocols.request import ConnectRequest
from relay.protocols.request_errors import TokenRefused

RENEWAL_SECONDS: Final = 25.0
"""For how long a client or a subscription stays whose right has ended, where the client can renew it: it begins to when
the right ends. As in Centrifugo."""

CONNECT_SECONDS: Final = 10.0
"""For how long a client may be there without having said who it is."""

_FAULTS: Final = (Exception, SystemExit, asyncio.CancelledError)
"""What a program's authenticator may raise; as in `relay.gateway.authentication`, it becomes a refusal."""

log = Logger("relay.gateway")


class _Nothing:
    """The rights of a client that has not said yet who it is."""

    __slots__ = ()

    def may_subscribe(self, channel: str) -> bool:
        """Return False."""
        return False

    may_publish = may_read_history = may_see_presence = may_subscribe


NOTHING: Final = _Nothing()


def unknown(now: float) -> Identity:
    """Return the identity of a client that has not said yet who it is.

    Args:
        now: seconds since 1970.
    """
    return Identity(None, NOTHING, now + CONNECT_SECONDS)


class Connecting(Protocol):
    """The session of such a client."""

    identity: Identity
    open: bool


async def connect(
    context: SessionContext,
    session: Connecting,
    client: Connected,
    opening: ConnectRequest,
    token: str,
    headers: Mapping[str, str],
) -> ConnectGrant:
    """Find out who a client is, and let it be that from now on.

    Args:
        context: what sessions share.
        session: of the client.
        client: is in the registry.
        opening: the request with which it has connected.
        token: that it has sent after that; empty: none.
        headers: that it has sent after that.

    Returns:
        What the identity gives it.

    Raises:
        Refused: the relay doesn't let it in, or it is another user than before; or its user has too many clients.
    """
    request = opening.with_token(token, headers, context.emulated_headers)
    identity = await context.identify(request)
    if not session.open:
        raise Refused(403, "the client has left")  # an authenticator of the program may not let itself be cancelled
    before = session.identity
    if before.rights is NOTHING:
        context.connections.enter_user(identity.user, request.remote)
    elif identity.user != before.user:
        raise Refused(403, "the token is of another user")
    expires_at = identity.expires_at
    if expires_at is not None and token:
        identity = replace(identity, expires_at=expires_at + RENEWAL_SECONDS)
    context.registry.refresh(client, identity)
    seconds = seconds_left(context, expires_at, identity.leeway) if token else None
    given = context.personal.complete(identity).server_side
    if given is None or before.rights is not NOTHING:
        return ConnectGrant(seconds)
    return ConnectGrant(seconds, given.subscriptions, given.data)


async def authorize(context: SessionContext, token: str, channel: str, user: str | None) -> SubscriptionGrant:
    """Return what a token for a channel gives.

    Raises:
        TokenRefused: it is not in order.
        Refused: with 503; that isn't known in time. With 500; the authenticator has a fault, which is logged.
    """
    if context.authorizer is None:
        raise TokenRefused("invalid", "this relay accepts no tokens for channels; see RELAY_AUTH")
    try:
        grant = context.authorizer.authorize(token, channel, user)
        return await _wait_for(grant, context.node.subscribe_timeout) if isawaitable(grant) else grant
    except RelayError:
        raise
    except _FAULTS as error:
        if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
            raise
        log.error("authenticator failed", channel=channel, why=type(error).__name__, stack=trace(error))
        raise Refused(500, "the relay could not read the token's rights; its log has the reason") from None


def _is_being_cancelled() -> bool:
    """Return whether the task that runs is being cancelled.

    A function of its own: the task in a variable beside its cancellation would be a cycle, and its client stay.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _wait_for(grant: Awaitable[SubscriptionGrant], seconds: float) -> SubscriptionGrant:
    """Return what an authenticator promises, after so many seconds at most."""
    patience = asyncio.timeout(seconds)
    try:
        await asyncio.sleep(0)  # in a task from here on, which time-outs need
        async with patience:
            return await grant
    except TimeoutError:
        if not patience.expired():
            raise
        raise Refused(503, Unavailable.AUTHENTICATION_TIMEOUT) from None
    finally:
        del patience  # see `relay.gateway.authentication`
        if isinstance(grant, Coroutine):
            grant.close()  # it may not have been begun


def seconds_left(context: SessionContext, expires_at: float | None, leeway: float) -> float | None:
    """Return for how many seconds a right lasts, as its client is told; None: without end.

    Args:
        context: what sessions share.
        expires_at: when it ends, in seconds since 1970; None: never.
        leeway: seconds by which the client is told an earlier end.
    """
    return None if expires_at is None else max(0.0, expires_at - leeway - context.now())
