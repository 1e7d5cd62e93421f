"""`POST /emulation`: what clients say whose stream carries only what they are told.

Any gateway may get it: a load balancer knows nothing of streams. What a client of another gateway says is forwarded
over the bus, in the order in which it has come.
"""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from relay.brokers import Published
from relay.brokers.shares import Share
from relay.control.forwarding import MAX_FORWARDED_BYTES, UnknownNode
from relay.errors import PublishError, Refused
from relay.hub import MESSAGE_OVERHEAD_BYTES
from relay.message import Message, content_bytes
from relay.protocols.centrifuge import emulation
from relay.protocols.centrifuge.formats import FormatError
from relay.protocols.centrifuge.streams import PROTOBUF, media_type
from relay.web.app_keys import CONTROL, LIMITS, NODE, SETTINGS
from relay.web.body import read_body
from relay.web.cors import with_cors
from relay.web.persistence import keep_connection
from relay.web.publish_window import PublishWindow

ENVELOPE_BYTES = 1024
"""What stands around the commands."""

ESCAPED = 3
"""How many times as long commands may be in JSON, where they are a string: two bytes of a letter may be six."""


COMMANDS: Final = "commands of clients of the Centrifuge protocol, which listen over a stream"


def add_routes(app: web.Application) -> None:
    """Serve `/emulation`."""
    app.router.add_route("*", emulation.PATH, with_cors("POST", _accept, COMMANDS))


async def _accept(request: web.Request) -> web.Response:
    """Hand commands over to the gateway that has the client.

    Whether there is such a client isn't told, as Centrifugo doesn't either: it finds out that it gets no answer.

    Raises:
        Refused: with 404, no such gateway is known; with 429, its address sends too much; with 503, the bus doesn't
            take it.
    """
    limits, address = request.app[LIMITS], request.remote or ""
    limits.publishes.take(address)
    most = min(request.app[SETTINGS].max_message_bytes, MAX_FORWARDED_BYTES)
    body = await read_body(request, most * ESCAPED + ENVELOPE_BYTES)
    protobuf = media_type(request.headers.get(hdrs.CONTENT_TYPE)) == PROTOBUF
    try:
        said = emulation.read_protobuf(body) if protobuf else emulation.read_json(body)
    except FormatError as error:
        raise Refused(400, f"the request is malformed: {str(error)[:200]}") from None
    if len(said.data) > most:
        raise Refused(413, f"the commands have more than {most} bytes")
    window = PublishWindow(request.app[NODE], Share.POSTS)

    async def publish(message: Message) -> Published:
        size = content_bytes(message) + MESSAGE_OVERHEAD_BYTES
        limits.forwarded_bytes.take(address, size)
        with limits.posted_bytes.held(address, size):
            return await window.acknowledged(await window.publish(message))

    try:
        await request.app[CONTROL].forwarding.send(said.node, said.session, said.data, publish)
    except UnknownNode as error:
        raise Refused(404, str(error)) from None
    except PublishError as error:
        raise Refused(503, f"{error.disconnect.reason}: the commands may not have been passed on") from None
    keep_connection(request)
    return web.Response(status=204)
