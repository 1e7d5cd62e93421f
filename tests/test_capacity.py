"""The capacity page says what its formula says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.capacity import BUSY, CONNECTIONS_PER_GATEWAY, MEASURED, Load, markdown, needs

PAGE = (Path(__file__).parent.parent / "docs" / "capacity.md").read_text()

ROOMS = Load("rooms", clients=100_000, per_channel=50, rate=0.5)


def test_the_table_on_the_page_is_computed() -> None:
    """Mend it with `python -m bench.capacity`."""
    assert markdown(MEASURED) in PAGE


def test_the_costs_on_the_page_are_those_of_the_formula() -> None:
    for value in (MEASURED.delivery, MEASURED.arrival, MEASURED.publish, MEASURED.idle, MEASURED.handshake):
        assert f"| {value:g} µs |" in PAGE
    for value in (MEASURED.redis_message, MEASURED.redis_copy):
        assert f"| {value:g} µs |" in PAGE


def test_quiet_clients_need_gateways_for_their_number_only() -> None:
    assert needs(replace(ROOMS, rate=0.0), MEASURED).gateways == 100_000 / CONNECTIONS_PER_GATEWAY


def test_a_gateway_is_planned_to_be_half_busy() -> None:
    busy = Load("busy", clients=1000, per_channel=1000, rate=100)
    assert needs(busy, MEASURED).gateways == pytest.approx(1000 * 100 * MEASURED.delivery / 1e6 / BUSY, abs=1)


def test_redis_pays_for_gateways_that_listen_not_for_clients() -> None:
    few = needs(Load("few", clients=40_000, per_channel=20_000, rate=1), MEASURED)
    many = needs(Load("many", clients=40_000, per_channel=40_000, rate=2), MEASURED)
    assert few.gateways == many.gateways == few.listening == many.listening == 2
    assert few.redis_cores == many.redis_cores


def test_routing_by_channel_spares_redis_and_gateways() -> None:
    spread, routed = needs(ROOMS, MEASURED), needs(ROOMS, MEASURED, routed=True)
    assert spread.listening == pytest.approx(5, abs=0.01)
    assert routed.listening == 1
    assert routed.redis_cores < spread.redis_cores
    assert routed.gateways <= spread.gateways
