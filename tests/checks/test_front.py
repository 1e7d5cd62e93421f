"""Items: what stands between clients and gateways, and what the world can see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from relay.checks import front
from relay.checks.facts import Certificate
from relay.checks.verdict import State
from tests.checks.made_facts import facts
from tests.checks.verdicts import says

OUTSIDE = {"host": "0.0.0.0"}
PROXY = {"trusted_proxies": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.WARNING, "set RELAY_HOST, unless a proxy runs on it"),
        ({"trusted_proxies": "127.0.0.1,::1"}, State.OK, "for the proxy on this machine"),
        ({"trusted_proxies": "127.0.0.1,10.0.0.0/8"}, State.MISSING, "10.0.0.0/8 can't connect to 127.0.0.1"),
        ({"host": "10.0.0.5,10.0.0.6", "port": 443}, State.OK, "port 443 of 10.0.0.5,10.0.0.6"),
        ({"host": "0.0.0.0", "port": 0}, State.WARNING, "set RELAY_PORT"),
    ],
)
def test_the_listen_address(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(front.listen_address(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.UNKNOWN, "a proxy on it"),
        (OUTSIDE, State.MISSING, "set RELAY_TLS_CERT"),
        ({**OUTSIDE, **PROXY}, State.UNKNOWN, "RELAY_TRUSTED_PROXIES"),
        ({**OUTSIDE, "tls_cert": "cert.pem"}, State.OK, "itself"),
    ],
)
def test_tls(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(front.tls(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [
        (0.5, State.MISSING, "within a day"),
        (1.5, State.WARNING, "relay.example.com ends in 1 day:"),
        (6.9, State.WARNING, "in 6 days:"),
        (30, State.OK, "in 30 days"),
    ],
)
def test_the_certificate(days: float, state: State, words: str) -> None:
    assert says(
        front.certificate(replace(facts(), certificate=Certificate("relay.example.com", days * 86_400))), state, words
    )
    assert front.certificate(facts()).state is State.OK


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.WARNING, "set RELAY_TRUSTED_PROXIES"),
        ({"tls_cert": "cert.pem"}, State.OK, "directly to the gateway"),
        (PROXY, State.OK, "10.0.0.0/8, and no others"),
        ({"trusted_proxies": "10.0.0.1,0.0.0.0/0"}, State.MISSING, "has 0.0.0.0/0:"),
        ({"trusted_proxies": "::/0"}, State.MISSING, "has ::/0:"),
    ],
)
def test_trusted_proxies(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(front.trusted_proxies(facts(**settings)), state, words)


@pytest.mark.parametrize(("demo", "state"), [("on", State.MISSING), ("off", State.OK)])
def test_the_playground(demo: str, state: State) -> None:
    assert front.playground(facts(demo=demo)).state is state


@pytest.mark.parametrize(
    ("settings", "state"),
    [({}, State.MISSING), ({"metrics_port": 9000}, State.OK), ({"metrics_port": 9000, **OUTSIDE}, State.UNKNOWN)],
)
def test_the_metrics_port(settings: dict[str, Any], state: State) -> None:
    assert front.metrics_port(facts(**settings)).state is state


@pytest.mark.parametrize(("seconds", "state"), [(25, State.OK), (50, State.OK), (51, State.WARNING)])
def test_pings(seconds: float, state: State) -> None:
    assert front.pings(facts(ping_interval=seconds)).state is state


@pytest.mark.parametrize(("seconds", "state"), [(100, State.OK), (61, State.OK), (60, State.WARNING)])
def test_kept_connections(seconds: float, state: State) -> None:
    assert front.kept_connections(facts(keepalive_timeout=seconds)).state is state


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.OK, "over 5 s"),
        (PROXY, State.MISSING, "set RELAY_DRAIN_DELAY"),
        ({**PROXY, "drain_delay": 5}, State.OK, "after 5 s"),
        ({"max_connections": 20_000}, State.WARNING, "set RELAY_DRAIN_SECONDS to 10 or more"),
        ({"max_connections": 20_001, "drain_seconds": 10}, State.WARNING, "to 11 or more"),
        ({"max_connections": 20_000, "drain_seconds": 10}, State.OK, "over 10 s"),
        ({"max_connections": 20_000, "max_new_connections_per_second": 0}, State.OK, "over 5 s"),
    ],
)
def test_the_drain(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(front.drain(facts(**settings)), state, words)


def test_what_stops_a_gateway_has_to_wait() -> None:
    assert says(front.stop_timeout(facts(drain_delay=5, drain_seconds=20)), State.UNKNOWN, "wait 35 s")
