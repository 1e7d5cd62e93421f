"""Long polling at `/poll/CHANNEL`; what is asked and answered is in `relay.protocols.poll`."""

from __future__ import annotations

from aiohttp import web

from relay.auth.authenticator import identify
from relay.clients.idle_polls import network_of
from relay.protocols.poll import ROOT, open_session
from relay.protocols.request import parse_request
from relay.web.app_keys import POLLS, SETTINGS
from relay.web.cors import for_pages
from relay.web.lifetime import keep, leaving


def add_routes(app: web.Application) -> None:
    """Add what this module serves."""
    app.router.add_route("*", ROOT, for_pages("GET", poll))
    app.router.add_route("*", ROOT + "/{channel:.*}", for_pages("GET", poll))


async def poll(request: web.Request) -> web.Response:
    """Answer with the messages of a channel, once there are any.

    Raises:
        Refused: see `relay.clients.polls` and `relay.protocols.poll`.
    """
    polls = request.app[POLLS]
    asked = parse_request(request.raw_path, request.headers, request.remote or "")
    session = open_session(asked, request.app[SETTINGS].default_channel)
    identity = identify(asked)
    subscription = polls.find(session)
    if subscription is not None and session.cursor is not None:
        position = session.cursor.position
    else:
        network, missed = network_of(request.remote or ""), session.cursor is not None
        subscription, position = await polls.subscribe(session.channel, identity, network, missed), 0
    body = await subscription.poll(position, session.wait, lambda: leaving(request))
    keep(request)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
