"""Long polling at `/poll/CHANNEL`; its requests and responses are defined in `relay.protocols.poll`."""

from __future__ import annotations

from collections.abc import Awaitable

from aiohttp import web

from relay.clients.long_poll import LongPoll
from relay.limits.address import network_of
from relay.protocols.poll import ROOT, UNKNOWN, Cursor, LongPolling, Poll, open_session
from relay.protocols.request import ConnectRequest
from relay.web.admission_wait import AdmissionWait
from relay.web.app_keys import ADMISSION, LIMITS, POLLING_CLIENTS, SETTINGS
from relay.web.connect_request import read_connect_request
from relay.web.cors import with_cors
from relay.web.persistence import client_may_be_gone, keep_connection


def add_routes(app: web.Application) -> None:
    """Serve `/poll/CHANNEL`; `/poll` is the default channel."""
    handler = with_cors("GET", poll, clients=True)
    app.router.add_route("*", ROOT, handler)
    app.router.add_route("*", ROOT + "/{channel:.*}", handler)


async def poll(request: web.Request) -> web.Response:
    """Answer with the messages of a channel as soon as there are any, or when the wait is over.

    Raises:
        Refused: see `relay.protocols.poll` and `relay.gateway.admission`.
    """
    asked = read_connect_request(request)
    wanted = open_session(asked, request.app[SETTINGS].default_channel)
    with AdmissionWait(request):
        if request.app[POLLING_CLIENTS].of_history(wanted.channel):
            answer = await _ask_history(request, asked, wanted)
        else:
            answer = await _ask_client(request, asked, wanted)
    body = await answer
    keep_connection(request)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})


async def _ask_history(request: web.Request, asked: ConnectRequest, wanted: Poll) -> Awaitable[bytes]:
    """Return the answer to come of a poll whose channel has a history; raises what the admission does."""
    polling_clients = request.app[POLLING_CLIENTS]
    if not polling_clients.costs_nothing_new(wanted):
        request.app[LIMITS].connections.check_new(asked.remote)
    # A cursor of a time when the channel had no history says nothing: the answer has to tell.
    resume = UNKNOWN if isinstance(wanted.cursor, Cursor) else wanted.resume
    session = await request.app[ADMISSION].admit(asked, LongPolling(wanted.channel, resume))
    return polling_clients.answer(session, wanted.wait, lambda: client_may_be_gone(request))


async def _ask_client(request: web.Request, asked: ConnectRequest, wanted: Poll) -> Awaitable[bytes]:
    """Return the answer to come of a poll whose messages are kept by its client, perhaps a new one.

    Raises:
        Refused: it may not, or there is no place.
    """
    client, position = await _find_client(request, asked, wanted)
    return client.poll(position, wanted.wait, lambda: client_may_be_gone(request))


async def _find_client(request: web.Request, asked: ConnectRequest, wanted: Poll) -> tuple[LongPoll, int]:
    """Return the client whose poll it is, perhaps a new one, and its position.

    Raises:
        Refused: it may not, or there is no place.
    """
    polling_clients, admission = request.app[POLLING_CLIENTS], request.app[ADMISSION]
    identity = None
    cursor = wanted.cursor
    if isinstance(cursor, Cursor) and wanted in polling_clients:
        identity = await admission.identify(asked)  # each request says who sends it
        client = polling_clients.resume(wanted, identity)
        if client is not None:
            return client, cursor.position
    request.app[LIMITS].connections.check_new(asked.remote)
    history = wanted.history if cursor is None else 0
    session = await admission.admit(asked, LongPolling(wanted.channel, history), identity)
    network = network_of(request.remote or "")
    return polling_clients.begin(session, network, missed=cursor is not None), 0
