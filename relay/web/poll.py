"""Long polling at `/poll/CHANNEL`; its requests and responses are defined in `relay.protocols.poll`."""

from __future__ import annotations

from aiohttp import web

from relay.clients.long_poll import LongPoll
from relay.errors import Refused
from relay.limits.address import network_of
from relay.protocols.poll import ROOT, LongPolling, Poll, open_session
from relay.protocols.request import ConnectRequest
from relay.web.admission_wait import AdmissionWait
from relay.web.app_keys import ADMISSION, COUNTERS, LIMITS, POLLING_CLIENTS, SETTINGS
from relay.web.connect_request import read_connect_request
from relay.web.cors import with_cors
from relay.web.persistence import client_may_be_gone, keep_connection


def add_routes(app: web.Application) -> None:
    """Serve `/poll/CHANNEL`; `/poll` is the default channel."""
    app.router.add_route("*", ROOT, with_cors("GET", poll))
    app.router.add_route("*", ROOT + "/{channel:.*}", with_cors("GET", poll))


async def poll(request: web.Request) -> web.Response:
    """Answer with the messages of a channel as soon as there are any, or when the wait is over.

    Raises:
        Refused: see `relay.protocols.poll` and `relay.gateway.admission`.
    """
    asked = read_connect_request(request)
    wanted = open_session(asked, request.app[SETTINGS].default_channel)
    try:
        with AdmissionWait(request):
            client, position = await _find_client(request, asked, wanted)
    except Refused as refused:
        request.app[COUNTERS].connections_refused[refused.cause] += 1
        raise
    body = await client.poll(position, wanted.wait, lambda: client_may_be_gone(request))
    keep_connection(request)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})


async def _find_client(request: web.Request, asked: ConnectRequest, wanted: Poll) -> tuple[LongPoll, int]:
    """Return the client whose poll it is, perhaps a new one, and its position.

    Raises:
        Refused: it may not, or there is no place.
    """
    polling_clients, admission = request.app[POLLING_CLIENTS], request.app[ADMISSION]
    identity = None
    if wanted.cursor is not None and wanted in polling_clients:
        identity = await admission.identify(asked)  # each request says who sends it
        client = polling_clients.resume(wanted, identity)
        if client is not None:
            return client, wanted.cursor.position
    request.app[LIMITS].connections.check_new(asked.remote)
    session = await admission.admit(asked, LongPolling(wanted.channel), identity)
    network = network_of(request.remote or "")
    return polling_clients.begin(session, network, missed=wanted.cursor is not None), 0
