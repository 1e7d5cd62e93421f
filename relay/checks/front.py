"""Items: what stands between clients and gateways, and what the world can see."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Final

from relay.checks.facts import Facts
from relay.checks.verdict import Verdict, missing, ok, unknown, warning
from relay.settings.field import PREFIX
from relay.settings.values import show

DAY_SECONDS: Final = 86_400.0

RENEWAL_DAYS: Final = 7
"""As the alert RelayCertificateExpires: what renews certificates has done so before."""

SILENCE_SECONDS: Final = 60.0
"""For which most proxies let a connection be silent, or an idle one be kept: nginx, an ALB."""

LONGEST_PING_SECONDS: Final = 50.0
"""Well below that: a ping may be late, and its answer, too."""

AFTER_DRAIN_SECONDS: Final = 10.0
"""What a gateway may take behind its drain, to publish what was accepted."""


def listen_address(facts: Facts) -> Verdict:
    """Judge whether those who should connect can."""
    settings = facts.settings
    if settings.port == 0:
        return warning(f"the gateway takes any free port, and no balancer knows it; set {PREFIX}PORT")
    if not settings.on_loopback:
        return ok(f"port {settings.port} of {show(settings.host)}")
    if settings.trusted_proxies is None:
        return warning(
            f"only this machine can connect to {show(settings.host)}; set {PREFIX}HOST, unless a proxy runs on it"
        )
    elsewhere = [network for network in settings.trusted_proxies if not ip_network(network).is_loopback]
    if elsewhere:
        return missing(
            f"the proxies {', '.join(elsewhere)} can't connect to {show(settings.host)}; set {PREFIX}HOST, as 0.0.0.0"
        )
    return ok(f"port {settings.port} of {show(settings.host)}, for the proxy on this machine")


def tls(facts: Facts) -> Verdict:
    """Judge whether what clients and gateways say can be read on the way."""
    settings = facts.settings
    if settings.tls_cert is not None:
        return ok("the gateway does TLS itself")
    if facts.behind_a_proxy:
        return unknown(f"check that the proxies in {PREFIX}TRUSTED_PROXIES use TLS with clients")
    if settings.on_loopback:
        return unknown("only this machine can connect: check that a proxy on it uses TLS with clients")
    return missing(
        "others can read tokens and messages on the way; "
        f"set {PREFIX}TLS_CERT, or let a balancer do TLS and name it in {PREFIX}TRUSTED_PROXIES"
    )


def certificate(facts: Facts) -> Verdict:
    """Judge how long the certificate is still valid."""
    if facts.certificate is None:
        return ok("the gateway has none to renew")
    days = facts.certificate.seconds_left / DAY_SECONDS
    name = facts.certificate.name or "it"
    if days < 1:
        return missing(f"{name} ends within a day, and then clients refuse it: renew it")
    if days < RENEWAL_DAYS:
        return warning(f"{name} ends in {_count(int(days), 'day')}: check that it is renewed")
    return ok(f"{name} ends in {int(days)} days")


def trusted_proxies(facts: Facts) -> Verdict:
    """Judge whether the address of a client is known."""
    settings = facts.settings
    if settings.trusted_proxies is None:
        if settings.tls_cert is not None:
            return ok("clients connect directly to the gateway")
        return warning(
            f"all clients behind a balancer have its address, in the log and for the limits; "
            f"set {PREFIX}TRUSTED_PROXIES to its address"
        )
    any_address = [network for network in settings.trusted_proxies if ip_network(network).prefixlen == 0]
    if any_address:
        return missing(
            f"{PREFIX}TRUSTED_PROXIES has {', '.join(any_address)}: clients choose their addresses; name your balancers"
        )
    return ok(f"{show(settings.trusted_proxies)}, and no others, report addresses of clients")


def playground(facts: Facts) -> Verdict:
    """Judge whether the world gets the playground."""
    if facts.settings.demo == "on":
        return missing(f"every visitor of the relay's address gets the playground; set {PREFIX}DEMO=off")
    return ok("it is off")


def metrics_port(facts: Facts) -> Verdict:
    """Judge who can read metrics."""
    settings = facts.settings
    if settings.metrics_port is None:
        return missing(
            f"/metrics and /readyz are on the port of clients, which is closed while a gateway drains; "
            f"set {PREFIX}METRICS_PORT"
        )
    if settings.on_loopback:
        return ok(f"port {settings.metrics_port}, for this machine")
    return unknown(f"port {settings.metrics_port} has the same addresses as the port of clients: don't expose it")


def pings(facts: Facts) -> Verdict:
    """Judge whether proxies take quiet clients for dead ones."""
    seconds = facts.settings.ping_interval
    if seconds > LONGEST_PING_SECONDS:
        return warning(
            f"a quiet client hears nothing for {seconds:g} s, and many proxies end connections that are silent for "
            f"{SILENCE_SECONDS:g} s; set {PREFIX}PING_INTERVAL to {LONGEST_PING_SECONDS:g} or less"
        )
    return ok(f"one every {seconds:g} s; proxies must allow more silence than that")


def kept_connections(facts: Facts) -> Verdict:
    """Judge whether gateways end idle connections while a balancer uses them."""
    seconds = facts.settings.keepalive_timeout
    if seconds <= SILENCE_SECONDS:
        return warning(
            f"a gateway ends idle connections after {seconds:g} s, while most balancers still use them: "
            f"requests fail with 502; set {PREFIX}KEEPALIVE_TIMEOUT above theirs, such as 100"
        )
    return ok(f"idle connections end after {seconds:g} s; a balancer must end them earlier")


def drain(facts: Facts) -> Verdict:
    """Judge whether a gateway goes without a rush of its clients to the others."""
    settings = facts.settings
    if facts.behind_a_proxy and settings.drain_delay == 0:
        return missing(
            "until a balancer notices that a gateway drains, it sends new clients, which are refused; "
            f"set {PREFIX}DRAIN_DELAY to 5, or as deploy/README.md says for your balancer"
        )
    clients, rate = settings.max_connections, settings.max_new_connections_per_second
    if clients is not None and rate and clients > rate * settings.drain_seconds:
        return warning(
            f"{clients} clients in {settings.drain_seconds:g} s are more than the {rate} a second that the other "
            f"gateways let in; set {PREFIX}DRAIN_SECONDS to {-(-clients // rate)} or more"
        )
    return ok(f"clients leave over {settings.drain_seconds:g} s, after {settings.drain_delay:g} s")


def stop_timeout(facts: Facts) -> Verdict:
    """Judge whether what stops a gateway lets it drain."""
    settings = facts.settings
    seconds = settings.drain_delay + settings.drain_seconds + AFTER_DRAIN_SECONDS
    return unknown(
        f"the program that stops a gateway must wait {seconds:g} s before it kills it: TimeoutStopSec, "
        "stop_grace_period or terminationGracePeriodSeconds"
    )


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
