"""Items: what a gateway takes of its machine, what clients may take of it, and who watches it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from relay.checks import resources
from relay.checks.verdict import State
from tests.checks.made_facts import MACHINE, facts, redis_facts
from tests.checks.verdicts import says

WORKERS = {"broker_url": "redis://redis.internal"}


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.OK, "has a limit"),
        ({"max_messages_per_second": 0}, State.WARNING, "RELAY_MAX_MESSAGES_PER_SECOND 0"),
        ({"max_connections_per_user": 0}, State.WARNING, "RELAY_MAX_CONNECTIONS_PER_USER 0"),
    ],
)
def test_limits(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(resources.limits(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("places", "settings", "state"),
    [
        (960, {}, State.WARNING),
        (10_000, {}, State.OK),
        (960, {"max_connections": 961}, State.MISSING),
        (960, {"max_connections": 960}, State.OK),
        (960, {"max_connections": 1920, "workers": 2, **WORKERS}, State.OK),
        (960, {"max_connections": 1921, "workers": 2, **WORKERS}, State.MISSING),
    ],
)
def test_open_files(places: int, settings: dict[str, Any], state: State) -> None:
    assert resources.open_files(facts(replace(MACHINE, places=places), **settings)).state is state


@pytest.mark.parametrize(("length", "state"), [(4096, State.OK), (128, State.WARNING), (None, State.UNKNOWN)])
def test_the_accept_queue(length: int | None, state: State) -> None:
    assert resources.accept_queue(facts(replace(MACHINE, accept_queue=length))).state is state


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({"max_connections": 10_000}, State.OK, "a gateway with 10000 idle clients takes 147 MB of 512 MB"),
        ({"max_connections": 10_000, "tls_cert": "cert.pem"}, State.OK, "317 MB"),
        (
            {"max_connections": 50_000, "tls_cert": "cert.pem"},
            State.MISSING,
            "set RELAY_MAX_CONNECTIONS to 17808 or less",
        ),
        ({"max_connections": 10_000, "workers": 4, **WORKERS}, State.OK, "387 MB"),
        ({}, State.WARNING, "lets 100000 clients in, but has memory for 55652"),
    ],
)
def test_memory(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(resources.memory(facts(replace(MACHINE, memory_bytes=512_000_000), **settings)), state, words)


def test_more_memory_is_told_in_gigabytes() -> None:
    assert "of 8.6 GB" in resources.memory(facts(max_connections=100)).reason


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.OK, "1 process on 4 cores"),
        ({"workers": "auto", **WORKERS}, State.OK, "4 processes on 4 cores"),
        ({"workers": 8, **WORKERS}, State.WARNING, "8 processes share 4 cores"),
        ({"max_connections": 20_001}, State.WARNING, "20001 clients on 1 process"),
        ({"max_connections": 80_000, "workers": 4, **WORKERS}, State.OK, "4 processes"),
    ],
)
def test_cores(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(resources.cores(facts(**settings)), state, words)


def test_one_core_is_one_core() -> None:
    assert resources.cores(facts(replace(MACHINE, processors=1))).reason == "1 process on 1 core"


@pytest.mark.parametrize(
    ("installed", "wanted", "state"),
    [(True, "auto", State.OK), (False, "auto", State.WARNING), (True, "asyncio", State.WARNING)],
)
def test_the_event_loop(installed: bool, wanted: str, state: State) -> None:
    assert resources.event_loop(facts(replace(MACHINE, uvloop=installed), event_loop=wanted)).state is state


@pytest.mark.parametrize(
    ("level", "state"),
    [("debug", State.WARNING), ("info", State.OK), ("warning", State.OK), ("error", State.WARNING)],
)
def test_the_log(level: str, state: State) -> None:
    assert resources.log(facts(log_level=level)).state is state


def test_alerts_and_capacity_are_for_people_to_look_at() -> None:
    assert resources.alerts(redis_facts(metrics_port=9000)).state is State.UNKNOWN
    assert "port 9000" in resources.alerts(redis_facts(metrics_port=9000)).reason
    assert "port 8000" in resources.alerts(facts()).reason
    assert resources.capacity(facts()).state is State.UNKNOWN
