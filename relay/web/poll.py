"""Long polling at `/poll/CHANNEL`; its requests and responses are defined in `relay.protocols.poll`."""

from __future__ import annotations

from aiohttp import web

from relay.clients.idle_polls import network_of
from relay.errors import Refused
from relay.protocols.poll import ROOT, LongPolling, open_session
from relay.web.admission_wait import AdmissionWait
from relay.web.app_keys import ADMISSION, COUNTERS, POLLING_CLIENTS, SETTINGS
from relay.web.connect_request import read_connect_request
from relay.web.cors import with_cors
from relay.web.persistence import client_closed, keep_connection


def add_routes(app: web.Application) -> None:
    """Serve `/poll/CHANNEL`; `/poll` is the default channel."""
    app.router.add_route("*", ROOT, with_cors("GET", poll))
    app.router.add_route("*", ROOT + "/{channel:.*}", with_cors("GET", poll))


async def poll(request: web.Request) -> web.Response:
    """Answer with the messages of a channel as soon as there are any, or when the wait is over.

    Raises:
        Refused: see `relay.protocols.poll` and `relay.gateway.admission`.
    """
    polling_clients, admission = request.app[POLLING_CLIENTS], request.app[ADMISSION]
    asked = read_connect_request(request)
    wanted = open_session(asked, request.app[SETTINGS].default_channel)
    client, position = polling_clients.find(wanted), 0
    if client is not None:
        with AdmissionWait(request):
            await admission.identify(asked)  # each request says who sends it
        client = polling_clients.find(wanted)  # it may have ended meanwhile
    if client is not None and wanted.cursor is not None:
        position = wanted.cursor.position
    else:
        try:
            with AdmissionWait(request):
                session = await admission.admit(asked, LongPolling(wanted.channel))
        except Refused as refused:
            request.app[COUNTERS].connections_refused[refused.cause] += 1
            raise
        client = polling_clients.begin(session, network_of(request.remote or ""), missed=wanted.cursor is not None)
    body = await client.poll(position, wanted.wait, lambda: client_closed(request))
    keep_connection(request)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
