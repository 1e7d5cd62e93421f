"""`POST /publish/CHANNEL`: publishes one message, its body. The rights are those of a WebSocket client."""

from __future__ import annotations

from aiohttp import hdrs, web

from relay.brokers.shares import Share
from relay.errors import DeliveryUnknown, PublishError, Refused
from relay.hub import MESSAGE_OVERHEAD_BYTES
from relay.message import Kind, Message
from relay.protocols.request import requested_channel
from relay.web.admission_wait import AdmissionWait
from relay.web.app_keys import ADMISSION, COUNTERS, LIMITS, NODE, SETTINGS
from relay.web.body import read_body
from relay.web.connect_request import read_connect_request
from relay.web.content_type import UTF_8, read_content_type
from relay.web.cors import with_cors
from relay.web.idempotency_header import HEADER, read_idempotency_key
from relay.web.persistence import keep_connection
from relay.web.publish_window import PublishWindow

PREFIX = "/publish"

_TEXT_TYPES = ("application/json", "application/x-www-form-urlencoded")
"""Media types of text besides `text/*`; curl sends the second for everything."""


def add_routes(app: web.Application) -> None:
    """Serve `/publish/CHANNEL`; `/publish` is the default channel."""
    app.router.add_route("*", PREFIX, _publish)
    app.router.add_route("*", PREFIX + "/{channel:.*}", _publish)


async def _publish(request: web.Request) -> web.Response:
    response = await _respond(request)
    request.app[COUNTERS].api_requests[f"http_publish {response.status}"] += 1
    return response


async def _accept(request: web.Request) -> web.Response:
    """Publish a message and wait for the bus to acknowledge it.

    Raises:
        Refused: the message was not, or perhaps not, published.
    """
    limits, address = request.app[LIMITS], request.remote or ""
    limits.publishes.take(address)
    asked = read_connect_request(request)
    channel = requested_channel(asked, PREFIX, request.app[SETTINGS].default_channel)
    with AdmissionWait(request):
        identity = await request.app[ADMISSION].admit_publisher(asked, channel)
    key = read_idempotency_key(request.headers.getall(HEADER, ()))
    if key is not None:
        # Of this user alone: a client must not choose a key before a back end does, whose message would then be lost.
        # No key has a zero byte, so this is none of a back end's.
        key = f"{identity.user or ''}\0{key}"
    own = request.app[NODE].channel_limits.max_message_bytes(channel)
    payload = await read_body(request, request.app[SETTINGS].max_message_bytes if own is None else own)
    kind = _kind(request, payload)
    counters = request.app[COUNTERS]
    counters.messages_received += 1
    counters.bytes_received += len(payload)
    window = PublishWindow(request.app[NODE], Share.POSTS)
    try:
        with limits.posted_bytes.held(address, len(payload) + MESSAGE_OVERHEAD_BYTES):
            published = await window.acknowledged(await window.publish(Message(channel, payload, kind), key))
    except DeliveryUnknown as error:
        # Not 503: a client would take that for "not published", and send the message again.
        raise Refused(504, f"{error.disconnect.reason}: it may or may not have been published") from None
    except PublishError as error:
        raise Refused(503, f"{error.disconnect.reason}: it was not published") from None
    keep_connection(request)
    answer: dict[str, object] = {"channel": channel, "gateways": published.receivers}
    if published.position is not None:
        answer["position"] = str(published.position)
    return web.json_response(answer)


_respond = with_cors("POST", _accept)


def _kind(request: web.Request, payload: bytes) -> Kind:
    """Return by the Content-Type whether a message is text, which must be UTF-8, or binary."""
    media_type, charset = read_content_type(request.headers.get(hdrs.CONTENT_TYPE))
    if not (media_type.startswith("text/") or media_type in _TEXT_TYPES):
        return Kind.BINARY
    if charset not in UTF_8:
        raise Refused(415, "text must be UTF-8")
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise Refused(400, "text must be valid UTF-8; send other bytes as application/octet-stream") from None
    return Kind.TEXT
