"""The methods of the server API.

A method has two halves. The first checks the parameters and sends; the second waits for the outcome and returns the
result. A batch runs all first halves before the second ones. So its commands are sent in order, and do not wait for
each other.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from relay.auth.authenticator import Identity, check_publish
from relay.brokers import Published
from relay.channel import check_channel
from relay.control import Control
from relay.control.messages import MAX_CHANNELS, MAX_REASON_BYTES, DisconnectCommand, SurveyReply, UnsubscribeCommand
from relay.control.surveys import SurveyError
from relay.errors import ChannelError, NotAllowed, PublishError
from relay.message import Kind, Message
from relay.web.api.error import ApiError, Code, bad_request, from_publish_error, permission_denied
from relay.web.api.parameters import (
    BroadcastParameters,
    ChannelsParameters,
    DisconnectParameters,
    InfoParameters,
    Parameters,
    PublishParameters,
    UnsubscribeParameters,
)
from relay.web.api.results import (
    BroadcastResult,
    ChannelInfo,
    ChannelsResult,
    EmptyResult,
    ErrorBody,
    InfoResult,
    PublishReply,
    Result,
)
from relay.web.publish_window import PublishWindow

Finish = Callable[[], Awaitable[Result]]
"""The second half of a method; it raises `ApiError`."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the methods work with: one for each HTTP request.

    Args:
        identity: of the back end, with its rights.
        control: reaches all gateways.
        window: publishes the messages of the request.
        max_message_bytes: largest payload of a message.
    """

    identity: Identity
    control: Control
    window: PublishWindow
    max_message_bytes: int


class Method(NamedTuple):
    """A method of the API.

    Args:
        parameters: type of its parameters.
        result: type of its result.
        start: its first half, which returns the second. It raises `ApiError`.
    """

    parameters: type[Parameters]
    result: type[Result]
    start: Callable[[Call, Any], Awaitable[Finish]]


async def _publish(call: Call, parameters: PublishParameters) -> Finish:
    channel = _publishable(call, "channel", parameters.channel)
    kind, payload = _payload(call, parameters)
    future = await call.window.publish(Message(channel, payload, kind))
    return lambda: _acknowledged(call, future)


async def _broadcast(call: Call, parameters: BroadcastParameters) -> Finish:
    kind, payload = _payload(call, parameters)
    sent: list[asyncio.Future[Published] | ApiError] = []
    for number, name in enumerate(parameters.channels):
        try:
            channel = _publishable(call, f"channels[{number}]", name)
        except ApiError as error:
            sent.append(error)
        else:
            sent.append(await call.window.publish(Message(channel, payload, kind)))

    async def finish() -> BroadcastResult:
        return BroadcastResult([await _reply(call, future) for future in sent])

    return finish


async def _reply(call: Call, sent: asyncio.Future[Published] | ApiError) -> PublishReply:
    """Return the outcome of one message of a broadcast."""
    try:
        if isinstance(sent, ApiError):
            raise sent
        await _acknowledged(call, sent)
    except ApiError as error:
        return PublishReply(error=ErrorBody(error.code, error.message))
    return PublishReply(result=EmptyResult())


async def _unsubscribe(call: Call, parameters: UnsubscribeParameters) -> Finish:
    user, client = _target(parameters)
    command = UnsubscribeCommand(user=user, client=client, channel=_channel("channel", parameters.channel))
    future = call.control.send(command)
    return lambda: _acknowledged(call, future)


async def _disconnect(call: Call, parameters: DisconnectParameters) -> Finish:
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
    return lambda: _acknowledged(call, future)


async def _channels(call: Call, parameters: ChannelsParameters) -> Finish:
    async def finish() -> ChannelsResult:
        clients: dict[str, int] = {}
        for answer in await _survey(call, parameters.pattern or "*"):
            if answer.channels is None:
                raise _too_many()
            for name, count in answer.channels.items():
                clients[name] = clients.get(name, 0) + count
        if len(clients) > MAX_CHANNELS:
            raise _too_many()
        return ChannelsResult({name: ChannelInfo(count) for name, count in sorted(clients.items())})

    return finish


async def _info(call: Call, parameters: InfoParameters) -> Finish:
    async def finish() -> InfoResult:
        nodes = [answer.about for answer in await _survey(call, None) if answer.about is not None]
        return InfoResult(sorted(nodes, key=lambda node: (node.name, node.uid)))

    return finish


METHODS = {
    "publish": Method(PublishParameters, EmptyResult, _publish),
    "broadcast": Method(BroadcastParameters, BroadcastResult, _broadcast),
    "unsubscribe": Method(UnsubscribeParameters, EmptyResult, _unsubscribe),
    "disconnect": Method(DisconnectParameters, EmptyResult, _disconnect),
    "channels": Method(ChannelsParameters, ChannelsResult, _channels),
    "info": Method(InfoParameters, InfoResult, _info),
}

NOT_AVAILABLE = ("presence", "presence_stats", "history", "history_remove", "subscribe", "refresh")
"""Methods of Centrifugo that a relay without history and presence cannot offer."""


def _channel(field: str, name: str) -> str:
    """Return a legal channel name.

    Args:
        field: that the name stands in, for the error.
        name: that the back end has sent.
    """
    try:
        return check_channel(name)
    except ChannelError as error:
        raise bad_request(f"{field}: {error.rule}") from None


def _publishable(call: Call, field: str, name: str) -> str:
    """Return the name of a channel that the back end may publish to; arguments as for `_channel`."""
    channel = _channel(field, name)
    try:
        check_publish(call.identity, channel)
    except NotAllowed as error:
        raise permission_denied(error) from None
    return channel


def _payload(call: Call, parameters: PublishParameters | BroadcastParameters) -> tuple[Kind, bytes]:
    """Return kind and payload of the message."""
    for field in ("tags", "idempotency_key"):
        if getattr(parameters, field):
            raise ApiError(Code.NOT_AVAILABLE, f"not available: {field}")
    if parameters.b64data:
        try:
            kind, payload = Kind.BINARY, base64.b64decode(parameters.b64data, validate=True)
        except (binascii.Error, ValueError):
            raise bad_request("b64data: must be base64, with its padding") from None
    elif not (payload := bytes(parameters.data)):
        raise bad_request("data: is missing")
    else:
        kind = Kind.TEXT
    if len(payload) > call.max_message_bytes:
        raise bad_request(
            f"{'data' if kind is Kind.TEXT else 'b64data'}: has {len(payload)} bytes, "
            f"RELAY_MAX_MESSAGE_BYTES allows {call.max_message_bytes}"
        )
    return kind, payload


def _target(parameters: UnsubscribeParameters | DisconnectParameters) -> tuple[str | None, str | None]:
    """Return user and client id that a command is for; None: any."""
    if parameters.session:
        raise ApiError(Code.NOT_AVAILABLE, "not available: session")
    if not parameters.user and parameters.client is None:
        raise bad_request("user: must not be empty, unless there is a client")
    return parameters.user or None, parameters.client


async def _acknowledged(call: Call, future: asyncio.Future[Published]) -> EmptyResult:
    try:
        await call.window.acknowledged(future)
    except PublishError as error:
        raise from_publish_error(error) from None
    return EmptyResult()


async def _survey(call: Call, pattern: str | None) -> list[SurveyReply]:
    try:
        async with asyncio.timeout(call.window.seconds_left):
            return await call.control.survey(pattern)
    except PublishError as error:
        raise ApiError(Code.INTERNAL, f"could not ask the gateways: {error.disconnect.reason}") from None
    except SurveyError as error:
        raise ApiError(Code.INTERNAL, str(error)) from None
    except TimeoutError:
        raise ApiError(Code.INTERNAL, "the gateways could not be asked in time") from None


def _too_many() -> ApiError:
    return ApiError(Code.LIMIT_EXCEEDED, f"more than {MAX_CHANNELS} channels: ask for fewer with pattern")
