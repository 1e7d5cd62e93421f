"""The HTTP applications of a gateway: that of the clients' port, and that of a port for metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from relay.auth.api_keys import ApiKeyAuthenticator
from relay.clients.polling_clients import PollingClients
from relay.control import Control
from relay.limits.gateway_limits import GatewayLimits
from relay.metrics.counters import Counters
from relay.node import Node
from relay.settings import Settings
from relay.settings.channels import namespaces_of
from relay.web import (
    api,
    client_files,
    demo,
    documents,
    emulation,
    fallbacks,
    health,
    metrics,
    poll,
    publish,
    stream_preflights,
)
from relay.web.app_keys import (
    ADMISSION,
    API_KEYS,
    AUTH,
    BUILD,
    BUS,
    CONTROL,
    COUNTERS,
    DRAINING,
    LIMITS,
    NAMESPACES,
    NODE,
    POLLING_CLIENTS,
    READINESS,
    REFUSED_NAMES,
    SETTINGS,
    SNAPSHOT,
    Admission,
    FindReadiness,
    TakeSnapshot,
)
from relay.web.host_check import host_middleware
from relay.web.persistence import ResponseWatcher, persistence_middleware, prepare_headers
from relay.web.refused_names import RefusedNames

LINGER_SECONDS = 2.0
"""How long aiohttp reads the rest of a body that no handler wants, even when the client has disconnected."""

http_logger = logging.getLogger("relay.http")


class _MalformedRequests(logging.Filter):
    """Drops entries about malformed requests: aiohttp logs a traceback for each, and clients can send any number."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is about a fault of the relay."""
        error = record.exc_info[1] if record.exc_info else None
        # UnicodeEncodeError: a response of aiohttp's own repeats a header whose bytes are no text.
        return not isinstance(error, HttpProcessingError | ConnectionError | UnicodeEncodeError)


http_logger.addFilter(_MalformedRequests())


def build_app(
    *,
    settings: Settings,
    node: Node,
    control: Control,
    counters: Counters,
    draining: Callable[[], bool],
    polling_clients: PollingClients,
    admission: Admission,
    limits: GatewayLimits,
    auth: str,
    readiness: FindReadiness,
    take: TakeSnapshot | None,
    build: Mapping[str, str],
    bus: str,
) -> web.Application:
    """Return the HTTP application of the clients' port. Each module of `relay.web` adds its own routes.

    Args:
        settings: of the gateway.
        node: hub and broker.
        control: reaches all gateways.
        counters: of the gateway.
        draining: returns whether the gateway drains.
        polling_clients: the polling clients.
        admission: decides who may connect and publish.
        limits: of what one address and one user may take.
        auth: see `AUTH`.
        readiness: see `READINESS`.
        take: see `SNAPSHOT`; None: metrics have a port of their own.
        build: see `BUILD`.
        bus: see `BUS`.
    """
    app = build_operators_app(readiness, take, build, bus)
    app.middlewares.append(persistence_middleware)
    if settings.host_names is not None:
        app.middlewares.append(host_middleware(settings.host_names))
    app[SETTINGS], app[NODE], app[CONTROL], app[COUNTERS] = settings, node, control, counters
    app[POLLING_CLIENTS], app[ADMISSION], app[AUTH], app[DRAINING] = polling_clients, admission, auth, draining
    app[LIMITS], app[NAMESPACES], app[REFUSED_NAMES] = limits, namespaces_of(settings), RefusedNames()
    keys = settings.api_keys
    app[API_KEYS] = None if keys is None else ApiKeyAuthenticator(key.get_secret_value() for key in keys)
    for module in (demo, documents, client_files, api, publish, stream_preflights, emulation, poll, fallbacks):
        module.add_routes(app)
    return app


def build_operators_app(
    readiness: FindReadiness, take: TakeSnapshot | None, build: Mapping[str, str], bus: str
) -> web.Application:
    """Return the HTTP application of a port for health and metrics; arguments as for `build_app`."""
    app = web.Application(client_max_size=64 * 1024)
    app[READINESS], app[BUILD], app[BUS] = readiness, build, bus
    app.on_response_prepare.append(prepare_headers)
    health.add_routes(app)
    if take is not None:
        app[SNAPSHOT] = take
        metrics.add_routes(app)
    return app


async def make_runner(app: web.Application, max_header_bytes: int) -> web.AppRunner:
    """Return a runner that is set up; its `server` makes the handlers of `HttpConnection`.

    Args:
        app: the application.
        max_header_bytes: most bytes of the head of a request; larger ones are refused before they reach it.
    """
    runner = web.AppRunner(
        app,
        access_log=http_logger,  # ResponseWatcher writes nothing to it
        access_log_class=ResponseWatcher,
        handle_signals=False,
        shutdown_timeout=1.0,
        # Not reached: such requests are refused before, with texts of our own.
        max_line_size=max_header_bytes,
        max_field_size=max_header_bytes,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # a small request must not become a large one
        logger=http_logger,
    )
    await runner.setup()
    return runner
