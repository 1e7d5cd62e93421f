"""`POST /publish/CHANNEL`: one message from whoever may open a WebSocket; its body is the message."""

from __future__ import annotations

from aiohttp import hdrs, web

from relay.brokers.shares import Share
from relay.errors import DeliveryUnknown, PublishError, Refused
from relay.message import Kind, Message
from relay.protocols.request import parse_request, requested_channel
from relay.web.app_keys import ADMISSION, COUNTERS, NODE, SETTINGS
from relay.web.body import read_body
from relay.web.content_type import UTF_8, read_content_type
from relay.web.cors import with_cors
from relay.web.persistence import keep
from relay.web.publish_window import PublishWindow

PREFIX = "/publish"

_TEXT_TYPES = ("application/json", "application/x-www-form-urlencoded")
"""What is text besides `text/*`; the second is what curl calls all that it sends."""


def add_routes(app: web.Application) -> None:
    """Serve `/publish/CHANNEL`; `/publish` is the default channel."""
    app.router.add_route("*", PREFIX, _publish)
    app.router.add_route("*", PREFIX + "/{channel:.*}", _publish)


async def _publish(request: web.Request) -> web.Response:
    response = await _answer(request)
    request.app[COUNTERS].api_requests[f"http_publish {response.status}"] += 1
    return response


async def _accept(request: web.Request) -> web.Response:
    """Publish a message and wait for the bus.

    Raises:
        Refused: says why it was not, or perhaps not, published.
    """
    # As it was sent: aiohttp's own path is decoded, and `a%2Fb` and `a/b` are one channel only by our rules.
    asked = parse_request(request.raw_path, request.headers, request.remote or "")
    channel = requested_channel(asked, PREFIX, request.app[SETTINGS].default_channel)
    await request.app[ADMISSION].admit_publisher(asked, channel)
    payload = await read_body(request, request.app[SETTINGS].max_message_bytes)
    kind = _kind(request, payload)
    counters = request.app[COUNTERS]
    counters.messages_received += 1
    counters.bytes_received += len(payload)
    outlet = PublishWindow(request.app[NODE], Share.POSTS)
    try:
        delivery = await outlet.acknowledged(await outlet.send(Message(channel, payload, kind)))
    except DeliveryUnknown as error:
        # Not 503: a client must not take this for "not published", and send it again without a thought.
        raise Refused(504, f"{error.disconnect.reason}: it may or may not have been published") from None
    except PublishError as error:
        raise Refused(503, f"{error.disconnect.reason}: it was not published") from None
    keep(request)
    return web.json_response({"channel": channel, "gateways": delivery.receivers})


_answer = with_cors("POST", _accept)


def _kind(request: web.Request, payload: bytes) -> Kind:
    """Tell from the Content-Type whether a message is text, which then must be UTF-8."""
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
