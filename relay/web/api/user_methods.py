"""The methods of the server API that are about clients of users: close them, let them stay longer, keep them out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

from msgspec import UNSET, Raw

from relay.auth.authenticator import UserError, check_user
from relay.auth.given_json import given_json
from relay.auth.server_side import ServerSide, ServerSideError, check_server_side
from relay.brokers import Published
from relay.brokers.block_store import MAX_BLOCK_SECONDS, BlockStoreError, TooManyBlocked
from relay.control.commands import (
    MAX_REASON_BYTES,
    DisconnectCommand,
    RefreshCommand,
    SubscribeCommand,
    UnsubscribeCommand,
)
from relay.errors import PublishError
from relay.protocols.multiplexed import ServerSubscription
from relay.web.api.call import Call, Finish, acknowledged, decode_base64, in_time, legal_channel
from relay.web.api.error import ApiError, Code, bad_request
from relay.web.api.parameters import (
    BlockUserParameters,
    DisconnectParameters,
    RefreshParameters,
    SubscribeParameters,
    UnblockUserParameters,
    UnsubscribeParameters,
)
from relay.web.api.results import EmptyResult

_AGAIN: Final = "doing it again does no harm"


async def subscribe(call: Call, parameters: SubscribeParameters) -> Finish:
    """Subscribe clients that have not asked for it."""
    user, client = _target(parameters)
    for name in ("expire_at", "recover_since", "override"):
        if getattr(parameters, name):
            raise _not_available(name)
    channel = legal_channel("channel", parameters.channel)
    info = _json("info", parameters.info, parameters.b64info)
    data = _json("data", parameters.data, parameters.b64data)
    try:
        check_server_side(ServerSide({channel: ServerSubscription(given_json(info), given_json(data))}))
    except ServerSideError as error:
        raise bad_request(str(error)) from None
    command = SubscribeCommand(user=user, client=client, channel=channel, info=info or UNSET, data=data or UNSET)
    future = call.control.send(command)
    return lambda: acknowledged(call, future)


async def unsubscribe(call: Call, parameters: UnsubscribeParameters) -> Finish:
    user, client = _target(parameters)
    command = UnsubscribeCommand(user=user, client=client, channel=legal_channel("channel", parameters.channel))
    future = call.control.send(command)
    return lambda: acknowledged(call, future)


async def disconnect(call: Call, parameters: DisconnectParameters) -> Finish:
    user, client = _target(parameters)
    close = parameters.disconnect
    if close is not None and len(close.reason.encode()) > MAX_REASON_BYTES:
        raise bad_request(f"disconnect.reason: must have at most {MAX_REASON_BYTES} bytes of UTF-8")
    command = DisconnectCommand(
        user=user,
        client=client,
        keep=frozenset(parameters.whitelist),
        code=0 if close is None else close.code,
        reason="" if close is None else close.reason,
    )
    future = call.control.send(command)
    return lambda: acknowledged(call, future)


async def refresh(call: Call, parameters: RefreshParameters) -> Finish:
    """Let clients stay longer, or less long, than their credentials say."""
    user, client = _target(parameters)
    expires_at = None if parameters.expired else _future("expire_at", parameters.expire_at)
    command = RefreshCommand(user=user, client=client, expires_at=expires_at, expired=parameters.expired)
    future = call.control.send(command)
    return lambda: acknowledged(call, future)


async def block_user(call: Call, parameters: BlockUserParameters) -> Finish:
    """Close the clients of a user, and let in no more of them for a while."""
    user = _legal_user(parameters.user)
    if (parameters.ttl is None) == (not parameters.expire_at):
        raise bad_request("ttl: one of ttl and expire_at must be there, and not both")
    until = _future("expire_at", parameters.expire_at)
    if parameters.ttl is not None:
        until = time.time() + parameters.ttl
    assert until is not None
    if until > time.time() + MAX_BLOCK_SECONDS:
        raise bad_request(f"expire_at: must not be more than {MAX_BLOCK_SECONDS} seconds from now")
    future = await _kept(call, call.control.block_user(user, until))
    return lambda: _told(call, future)


async def unblock_user(call: Call, parameters: UnblockUserParameters) -> Finish:
    """Let in the clients of a user again."""
    future = await _kept(call, call.control.unblock_user(_legal_user(parameters.user)))
    return lambda: _told(call, future)


async def _kept(call: Call, work: Awaitable[asyncio.Future[Published]]) -> asyncio.Future[Published]:
    """Wait until the bus keeps a change; return the future of the command that tells all gateways.

    Raises:
        ApiError: it doesn't, or perhaps doesn't.
    """
    try:
        return await in_time(call, work, f"could not be kept in time; {_AGAIN}")
    except TooManyBlocked as error:
        raise ApiError(Code.LIMIT_EXCEEDED, str(error)) from None
    except BlockStoreError as error:
        code = Code.PERMISSION_DENIED if error.refused else Code.INTERNAL
        raise ApiError(code, f"could not be kept: {error}") from None


async def _told(call: Call, future: asyncio.Future[Published]) -> EmptyResult:
    """Wait until all gateways that hear the bus have been told."""
    try:
        await call.window.acknowledged(future)
    except PublishError as error:
        reason = f"{error.disconnect.reason}: it is kept, but gateways learn of it in a minute or two"
        raise ApiError(Code.INTERNAL, f"{reason}; {_AGAIN}") from None
    return EmptyResult()


def _future(field: str, moment: float) -> float | None:
    """Return a moment that must lie ahead, in seconds since 1970; None: there is none."""
    if not moment:
        return None
    if moment <= time.time():
        raise bad_request(f"{field}: must be in the future, in seconds since 1970")
    return moment


def _legal_user(name: str) -> str:
    try:
        return check_user(name)
    except UserError as error:
        raise bad_request(f"user: {error.rule}") from None


def _json(field: str, given: Raw, encoded: str) -> Raw:
    """Return JSON that stands in a field, or in base64 in the one beside it, which then counts; empty: in neither."""
    return Raw(decode_base64(f"b64{field}", encoded)) if encoded else Raw(bytes(given))


def _not_available(field: str) -> ApiError:
    return ApiError(Code.NOT_AVAILABLE, f"not available: {field}")


def _target(
    parameters: SubscribeParameters | UnsubscribeParameters | DisconnectParameters | RefreshParameters,
) -> tuple[str | None, str | None]:
    """Return user and client id that a command is for; None: any."""
    if parameters.session:
        raise _not_available("session")
    if not parameters.user and parameters.client is None:
        raise bad_request("user: must not be empty, unless there is a client")
    return parameters.user or None, parameters.client
