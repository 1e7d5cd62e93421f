"""The methods of the server API.

A method has two halves. The first checks the parameters and sends; the second waits for the outcome and returns the
result. A batch runs all first halves before the second ones. So its commands are sent in order, and do not wait for
each other.
"""

from __future__ import annotations

import asyncio

from relay.attributes import AttributesError, encode_tags
from relay.auth.authenticator import check_publish
from relay.brokers import Published
from relay.control.messages import MAX_CHANNELS, SurveyReply
from relay.control.surveys import SurveyError
from relay.errors import NotAllowed, PublishError
from relay.idempotency_key import RULE, IdempotencyKeyError, check_idempotency_key
from relay.message import Kind, tagged_message
from relay.web.api import history_methods, presence_methods, user_methods
from relay.web.api.call import Call, Finish, Method, decode_base64, in_time, legal_channel
from relay.web.api.error import ApiError, Code, bad_request, from_publish_error, permission_denied
from relay.web.api.parameters import (
    BlockUserParameters,
    BroadcastParameters,
    ChannelsParameters,
    DisconnectParameters,
    HistoryParameters,
    HistoryRemoveParameters,
    InfoParameters,
    PresenceParameters,
    PresenceStatsParameters,
    PublishParameters,
    RefreshParameters,
    SubscribeParameters,
    UnblockUserParameters,
    UnsubscribeParameters,
)
from relay.web.api.results import (
    BroadcastResult,
    ChannelInfo,
    ChannelsResult,
    EmptyResult,
    ErrorBody,
    HistoryResult,
    InfoResult,
    PresenceResult,
    PresenceStatsResult,
    PublishReply,
    PublishResult,
)


async def _publish(call: Call, parameters: PublishParameters) -> Finish:
    channel = _publishable(call, "channel", parameters.channel, parameters)
    kind, payload = _payload(call, parameters)
    _check_size(call, "channel", channel, len(payload))
    message = tagged_message(channel, payload, kind, _tags(parameters))
    future = await call.window.publish(message, _key(parameters))
    return lambda: _published(call, future)


async def _broadcast(call: Call, parameters: BroadcastParameters) -> Finish:
    kind, payload = _payload(call, parameters)
    tags, key = _tags(parameters), _key(parameters)
    sent: list[asyncio.Future[Published] | ApiError] = []
    for number, name in enumerate(parameters.channels):
        try:
            channel = _publishable(call, f"channels[{number}]", name, parameters)
            _check_size(call, f"channels[{number}]", channel, len(payload))
        except ApiError as error:
            sent.append(error)
        else:
            sent.append(await call.window.publish(tagged_message(channel, payload, kind, tags), key))

    async def finish() -> BroadcastResult:
        return BroadcastResult([await _reply(call, future) for future in sent])

    return finish


async def _reply(call: Call, sent: asyncio.Future[Published] | ApiError) -> PublishReply:
    """Return the outcome of one message of a broadcast."""
    try:
        if isinstance(sent, ApiError):
            raise sent
        return PublishReply(result=await _published(call, sent))
    except ApiError as error:
        return PublishReply(error=ErrorBody(error.code, error.message))


async def _published(call: Call, future: asyncio.Future[Published]) -> PublishResult:
    """Return the result of a message once the bus has it; raises `ApiError`."""
    try:
        position = (await call.window.acknowledged(future)).position
    except PublishError as error:
        raise from_publish_error(error) from None
    return PublishResult() if position is None else PublishResult(offset=position.offset, epoch=position.epoch)


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
    "publish": Method(PublishParameters, PublishResult, _publish),
    "broadcast": Method(BroadcastParameters, BroadcastResult, _broadcast),
    "history": Method(HistoryParameters, HistoryResult, history_methods.history),
    "history_remove": Method(HistoryRemoveParameters, EmptyResult, history_methods.history_remove),
    "presence": Method(PresenceParameters, PresenceResult, presence_methods.presence),
    "presence_stats": Method(PresenceStatsParameters, PresenceStatsResult, presence_methods.presence_stats),
    "subscribe": Method(SubscribeParameters, EmptyResult, user_methods.subscribe),
    "unsubscribe": Method(UnsubscribeParameters, EmptyResult, user_methods.unsubscribe),
    "disconnect": Method(DisconnectParameters, EmptyResult, user_methods.disconnect),
    "refresh": Method(RefreshParameters, EmptyResult, user_methods.refresh),
    "block_user": Method(BlockUserParameters, EmptyResult, user_methods.block_user),
    "unblock_user": Method(UnblockUserParameters, EmptyResult, user_methods.unblock_user),
    "channels": Method(ChannelsParameters, ChannelsResult, _channels),
    "info": Method(InfoParameters, InfoResult, _info),
}


def _publishable(call: Call, field: str, name: str, parameters: PublishParameters | BroadcastParameters) -> str:
    """Return the name of a channel that the back end may publish to; arguments as for `legal_channel`."""
    channel = legal_channel(field, name)
    try:
        check_publish(call.identity, channel)
    except NotAllowed as error:
        raise permission_denied(error) from None
    if parameters.skip_history and call.namespaces.options(channel).history_size:
        raise ApiError(Code.NOT_AVAILABLE, f"not available: skip_history in {channel}, which keeps a history")
    return channel


def _tags(parameters: PublishParameters | BroadcastParameters) -> bytes:
    """Return the tags of the message, as it carries them."""
    try:
        return encode_tags(parameters.tags)
    except AttributesError as error:
        raise bad_request(str(error)) from None


def _key(parameters: PublishParameters | BroadcastParameters) -> str | None:
    """Return the idempotency key of the message; None: it has none."""
    if not parameters.idempotency_key:
        return None
    try:
        return check_idempotency_key(parameters.idempotency_key)
    except IdempotencyKeyError:
        raise bad_request(f"idempotency_key: {RULE}") from None


def _check_size(call: Call, field: str, channel: str, size: int) -> None:
    """Refuse a message that is too big for its channel; arguments as for `legal_channel`, and its bytes."""
    most = call.limits.max_message_bytes(channel)
    if most is not None and size > most:
        raise bad_request(f"{field}: the message has {size} bytes, its namespace allows {most}")


def _payload(call: Call, parameters: PublishParameters | BroadcastParameters) -> tuple[Kind, bytes]:
    """Return kind and payload of the message."""
    if parameters.b64data:
        kind, payload = Kind.BINARY, decode_base64("b64data", parameters.b64data)
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


async def _survey(call: Call, pattern: str | None) -> list[SurveyReply]:
    try:
        return await in_time(call, call.control.survey(pattern), "the gateways could not be asked in time")
    except PublishError as error:
        raise ApiError(Code.INTERNAL, f"could not ask the gateways: {error.disconnect.reason}") from None
    except SurveyError as error:
        raise ApiError(Code.INTERNAL, str(error)) from None


def _too_many() -> ApiError:
    return ApiError(Code.LIMIT_EXCEEDED, f"more than {MAX_CHANNELS} channels: ask for fewer with pattern")
