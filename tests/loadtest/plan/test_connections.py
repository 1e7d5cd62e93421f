"""Everybody has one place; the places of each channel are spread over all servers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.plan.connections import (
    PlannedConnection,
    channel_name,
    channel_of_publisher,
    deliveries_per_message,
    listens_to_events,
    planned_connections,
)
from relay.loadtest.plan.plan import Dialect, Hears, Over, Plan


def make_plan(servers: int, **given: object) -> Plan:
    """Return a plan for so many servers."""
    urls = tuple(f"ws://127.0.0.1:{port}" for port in range(1, servers + 1))
    return Plan(urls=urls, dialect=Dialect(), **given)  # type: ignore[arg-type]


plans = st.builds(
    make_plan,
    servers=st.integers(1, 4),
    clients=st.integers(0, 40),
    channels=st.integers(1, 8),
    publishers=st.integers(0, 12),
    workers=st.integers(1, 4),
    hears=st.sampled_from(Hears),
)


def everybody(plan: Plan) -> list[PlannedConnection]:
    """Return the roles of all workers."""
    return [role for worker in range(plan.workers) for role in planned_connections(plan, worker)]


@given(plans)
def test_everybody_is_in_one_worker_once(plan: Plan) -> None:
    roles = everybody(plan)
    assert sorted(role.number for role in roles) == list(range(plan.clients + plan.publishers))
    publishers_of = {role.publisher: role.number for role in roles if role.publisher is not None}
    assert publishers_of == {publisher: plan.clients + publisher for publisher in range(plan.publishers)}
    sizes = [len(list(planned_connections(plan, worker))) for worker in range(plan.workers)]
    assert max(sizes) - min(sizes) <= 2


@given(plans)
def test_who_hears_whom_is_as_planned(plan: Plan) -> None:
    """And deliveries per message are what adding up who hears a publisher comes to."""
    heard: Counter[int] = Counter()
    for role in everybody(plan):
        mates = {publisher for publisher in range(plan.publishers) if publisher % plan.channels == role.channel}
        own = {role.publisher} - {None}
        match plan.hears if own else Hears.ALL:
            case Hears.ALL:
                assert set(role.hears) == mates
            case Hears.OTHERS:
                assert set(role.hears) == mates - own
            case Hears.NOTHING:
                assert role.hears == []
        heard.update(role.hears)
        if role.publisher is not None:
            assert role.channel == channel_of_publisher(plan, role.publisher)
    for publisher in range(plan.publishers):
        assert deliveries_per_message(plan, publisher) == heard[publisher]


@given(plans)
def test_the_clients_of_each_channel_are_spread_over_all_servers(plan: Plan) -> None:
    places: Counter[tuple[int, int]] = Counter()
    for role in everybody(plan):
        if role.publisher is None:
            places[role.channel, role.url] += 1
    for channel in range(plan.channels):
        each = [places[channel, url] for url in range(len(plan.urls))]
        assert max(each) - min(each) <= 1


@given(plans)
def test_all_servers_get_about_the_same(plan: Plan) -> None:
    """No more than one connection of each channel's clients, and one of its publishers, makes a difference."""
    each = Counter(role.url for role in everybody(plan) if role.publisher is None)
    counts = [each[url] for url in range(len(plan.urls))]
    assert max(counts) - min(counts) <= plan.channels


@pytest.mark.parametrize("servers", [2, 3])
def test_messages_have_to_cross_from_server_to_server(servers: int) -> None:
    """Every channel has a client on another server than its publisher."""
    plan = make_plan(servers, clients=8, channels=4, publishers=4)
    roles = everybody(plan)
    for channel in range(plan.channels):
        (speaker,) = (role for role in roles if role.publisher is not None and role.channel == channel)
        assert {role.url for role in roles if role.channel == channel and role.publisher is None} - {speaker.url}


@given(channels=st.integers(1, 8), clients=st.integers(0, 40))
def test_both_kinds_of_clients_that_resume_take_turns_on_each_channel(channels: int, clients: int) -> None:
    plan = make_plan(1, clients=clients, channels=channels)
    for channel in range(channels):
        kinds = [listens_to_events(plan, client) for client in range(channel, clients, channels)]
        assert abs(2 * sum(kinds) - len(kinds)) <= 1


@pytest.mark.parametrize(("over", "expected"), [(Over.EVENTS, True), (Over.POLLS, False)])
def test_or_all_are_of_one_kind(over: Over, expected: bool) -> None:
    plan = make_plan(1, over=over, channels=3)
    assert {listens_to_events(plan, client) for client in range(10)} == {expected}


def test_channels_are_in_the_namespace_that_is_wished() -> None:
    assert channel_name(make_plan(1), 0xAB, 7) == "loadtest-0000ab-7"
    assert channel_name(make_plan(1, namespace="chat"), 0xAB, 7) == "chat:loadtest-0000ab-7"
