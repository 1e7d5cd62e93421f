"""The parts of a gateway, made from its settings and put together. Nothing listens yet, and nothing is connected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from relay.auth.authenticator import Authenticator
from relay.auth.personal_channels import PersonalChannels
from relay.auth.subscription_tokens import SubscriptionAuthenticator
from relay.brokers import BrokerOptions, schemes, shares
from relay.clients.context import CLOSE_TIMEOUT_SECONDS, Context
from relay.clients.expirations import Expirations
from relay.clients.keepalive import Keepalive
from relay.clients.missed_messages import MissedMessages
from relay.clients.polling_clients import PollingClients
from relay.clients.presence_watchers import PresenceWatchers
from relay.clients.registry import Registry
from relay.clients.session_context import Rpc, SessionContext
from relay.clients.throttled_clients import ThrottledClients
from relay.clients.turns import Turns
from relay.clients.unfinished_messages import UnfinishedMessages, message_timeout
from relay.clients.write_timeouts import WriteTimeouts
from relay.control import Control
from relay.gateway.access import FUNCTION, PROGRAM, identifies_users
from relay.gateway.admission import Admission
from relay.gateway.authentication import Authentication
from relay.gateway.background import Work
from relay.gateway.capacity import max_connections
from relay.gateway.fan_out_in_use import FanOutInUse
from relay.gateway.front_door import FrontDoor
from relay.gateway.opening_request import OpeningRequests
from relay.gateway.tls import Tls
from relay.gateway.tls_certificate import CertificateInUse
from relay.gateway.tls_turns import HandshakeTurns
from relay.limits.address import PerAddress
from relay.limits.channels import ChannelLimits
from relay.limits.gateway_limits import GatewayLimits, LimitOptions
from relay.limits.meter import SendingRates
from relay.message import Message
from relay.metrics.counters import Counters
from relay.metrics.process import build_labels
from relay.namespaces import Namespaces
from relay.node import Node
from relay.proxies.forwarded import TrustedProxies
from relay.settings import Settings
from relay.settings import limits as defaults
from relay.settings.channels import namespaces_of
from relay.settings.tls import certificate_files
from relay.web.app import build_app, make_runner
from relay.web.app_keys import REFUSED_NAMES, FindReadiness, TakeSnapshot
from relay.web.client_address import client_address_middleware
from relay.web.http_port import open_port


@dataclass(frozen=True, slots=True)
class Parts:
    """What one gateway consists of.

    Args:
        context: what its clients share.
        front_door: what the sockets of its port share.
        polling_clients: the polling clients.
        control: commands and surveys of all gateways.
        runner: of the HTTP application.
        fan_out: writes to many clients at once.
    """

    context: Context
    front_door: FrontDoor
    polling_clients: PollingClients
    control: Control
    runner: web.AppRunner
    fan_out: FanOutInUse

    @property
    def background(self) -> dict[str, Work]:
        """What has to be done all the time, by name."""
        context, front_door = self.context, self.front_door
        work: dict[str, Work] = {
            "keepalive": context.keepalive.run,
            "write timeouts": context.write_timeouts.run,
            "expirations": context.registry.expirations.run,
            "blocked users": self.control.blocked_users.run,
            "unfinished messages": context.unfinished.run,
            "missed messages": context.missed_messages.run,
            "polls": self.polling_clients.sweep,
            "recoveries": context.node.recoveries.run,
            "presence": context.node.presences.run,
            "http connections": front_door.http.expire,
        }
        if front_door.tls is not None:
            work["certificate"] = front_door.tls.certificate.watch
        return work


async def make_parts(
    settings: Settings,
    counters: Counters,
    authenticator: Authenticator,
    rpc: Rpc,
    *,
    auth: str,
    draining: Callable[[], bool],
    readiness: FindReadiness,
    take: TakeSnapshot,
) -> Parts:
    """Return the parts of a gateway; raises `SettingsError` when the certificate for TLS can't be used.

    Args:
        settings: of the gateway.
        counters: where everything is counted.
        authenticator, rpc: tell who clients are, and answer their calls.
        auth: see `AUTH`.
        draining, readiness, take: see `DRAINING`, `READINESS` and `SNAPSHOT`.
    """
    namespaces = namespaces_of(settings)
    node = _make_node(settings, namespaces, counters, fan_out := FanOutInUse(settings.fanout))
    limits = GatewayLimits.of(_limit_options(settings, auth), counters, asyncio.get_running_loop().time)
    places, expirations = max_connections(settings.max_connections), Expirations(time.time)
    registry = Registry(places, counters, lambda: polling_clients.find_evictable(), limits.connections, expirations)
    context = _make_context(settings, namespaces, counters, node, registry)
    polling_clients, control = PollingClients(context), Control(node, registry, context.emulated_streams.take_in)
    blocked, of_program = control.blocked_users, auth in (FUNCTION, PROGRAM)
    authentication = Authentication(authenticator, limits.failures, blocked, settings.handshake_timeout, of_program)
    admission = _make_admission(settings, context, limits, authentication, authenticator, rpc)
    proxies = TrustedProxies(settings.trusted_proxies or ())
    app = build_app(
        settings=settings,
        node=node,
        control=control,
        polling_clients=polling_clients,
        admission=admission,
        limits=limits,
        auth=auth,
        counters=counters,
        draining=draining,
        readiness=readiness,
        take=None if settings.metrics_port else take,
        build=build_labels(settings.revision),
        bus=schemes.describe(settings.broker_url),
    )
    app.middlewares.append(client_address_middleware(proxies))
    runner = await make_runner(app, settings.max_header_bytes)
    front_door = FrontDoor(
        context=context,
        http=open_port(runner, settings, counters),
        openings=OpeningRequests(settings, proxies, auth, limits.connections.check_new),
        admission=admission,
        limits=limits,
        proxies=proxies,
        tls=_open_tls(settings, counters),
        allowed_origins=settings.allowed_origins,
        refused_names=app[REFUSED_NAMES],
    )
    return Parts(context, front_door, polling_clients, control, runner, fan_out)


def _make_admission(
    settings: Settings,
    context: Context,
    limits: GatewayLimits,
    authentication: Authentication,
    authenticator: Authenticator,
    rpc: Rpc,
) -> Admission:
    sessions = SessionContext(
        node=context.node,
        registry=context.registry,
        connections=limits.connections,
        watchers=context.presence_watchers,
        namespaces=context.namespaces,
        identify=authentication.identify,
        authorizer=authenticator if isinstance(authenticator, SubscriptionAuthenticator) else None,
        rpc=rpc,
        personal=PersonalChannels(settings.user_channels or ()),
        emulated_headers=settings.auth_headers,
        ping_seconds=settings.ping_interval,
        now=time.time,
    )
    return Admission(authentication, context.registry, context.node, limits, sessions)


def _open_tls(settings: Settings, counters: Counters) -> Tls | None:
    """Return what TLS connections share; raises `SettingsError` when the certificate can't be used."""
    files = certificate_files(settings)
    if files is None:
        return None
    return Tls(CertificateInUse(files, counters), HandshakeTurns(asyncio.get_running_loop()))


def _make_node(settings: Settings, namespaces: Namespaces, counters: Counters, fan_out: FanOutInUse) -> Node:
    options = BrokerOptions(
        url=settings.broker_url,
        prefix=settings.broker_prefix,
        ca_file=None if settings.broker_ca_file is None else str(settings.broker_ca_file),
        timeout=settings.broker_timeout,
        probe_interval=settings.probe_interval,
        publish_timeout=settings.publish_timeout,
        publish_buffer_bytes=settings.publish_buffer_bytes,
        namespaces=namespaces,
        presence_ttl=settings.presence_ttl,
    )
    channels = ChannelLimits.of(settings.max_channels_per_connection, namespaces)
    delay = settings.write_delay / 1000
    return Node(options, counters, write_delay=delay, channels=channels, fan_out=fan_out.opened)


def _limit_options(settings: Settings, auth: str) -> LimitOptions:
    per_user = settings.max_connections_per_user
    if per_user is None:
        per_user = defaults.CONNECTIONS_PER_USER if identifies_users(auth) else 0
    return LimitOptions(
        connections_per_address=PerAddress.of(settings.max_connections_per_address, defaults.CONNECTIONS_PER_ADDRESS),
        connections_per_user=per_user,
        new_connections=settings.max_new_connections_per_second,
        publishes=PerAddress.of(settings.max_publishes_per_second, defaults.PUBLISHES_PER_SECOND),
        failed_authentications=PerAddress.of(settings.max_failed_authentications, defaults.FAILED_AUTHENTICATIONS),
        bytes=settings.max_bytes_per_second,
        posted_bytes=shares.limits(settings.publish_buffer_bytes)[shares.Share.POSTS],
    )


def _make_context(
    settings: Settings, namespaces: Namespaces, counters: Counters, node: Node, registry: Registry
) -> Context:
    loop = asyncio.get_running_loop()
    turns = Turns(loop)
    missed_messages = MissedMessages(node, close=settings.on_gap == "close", seconds=settings.gap_seconds)
    presence_watchers = PresenceWatchers(node)
    for watcher in (missed_messages.tell, presence_watchers.gap):
        node.watch_missed(watcher)
    return Context(
        node=node,
        counters=counters,
        registry=registry,
        keepalive=Keepalive(settings.ping_interval, settings.ping_timeout),
        write_timeouts=WriteTimeouts(settings.write_timeout, counters),
        turns=turns,
        throttled=ThrottledClients(loop, turns, counters),
        missed_messages=missed_messages,
        presence_watchers=presence_watchers,
        unfinished=UnfinishedMessages(message_timeout(settings.max_message_bytes)),
        loop=loop,
        max_message_bytes=settings.max_message_bytes,
        sending=SendingRates.of(
            settings.max_messages_per_second, settings.max_bytes_per_second, settings.max_message_bytes
        ),
        send_buffer_bytes=settings.send_buffer_bytes,
        slow_consumer=settings.slow_consumer,
        namespaces=namespaces,
        write_timeout=settings.write_timeout,
        close_timeout=CLOSE_TIMEOUT_SECONDS,
        welcome=None if settings.welcome is None else Message("", settings.welcome.encode()),
    )
