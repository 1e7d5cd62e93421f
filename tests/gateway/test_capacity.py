"""File descriptors and what they allow."""

from __future__ import annotations

import resource

import pytest

from relay.gateway import capacity


@pytest.mark.parametrize(
    ("soft", "expected"),
    [(1024, 960), (20_000, 19_936), (100, 75), (1, 1), (resource.RLIM_INFINITY, 1_000_000)],
)
def test_a_reserve_is_kept(monkeypatch: pytest.MonkeyPatch, soft: int, expected: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, soft))
    assert capacity.default_max_connections() == expected


@pytest.mark.parametrize(
    ("soft", "expected"), [(1024, 992), (20_000, 19_968), (100, 87), (1, 1), (resource.RLIM_INFINITY, 1_000_032)]
)
def test_refusals_and_probes_have_half_of_the_reserve(
    monkeypatch: pytest.MonkeyPatch, soft: int, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, soft))
    assert capacity.max_sockets() == expected


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, pair: limits.append(pair))
    assert capacity.raise_descriptor_limit() == 4096
    assert limits[-1] == (4096, 4096)
    assert capacity.raise_descriptor_limit() == 4096
    assert len(limits) == 2


def test_never_more_than_files_allow(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 1024))
    assert [capacity.max_connections(wanted) for wanted in (None, 10)] == [960, 10]
    assert not caplog.text
    assert capacity.max_connections(5000) == 960
    assert "above the limit of open files" in caplog.text


def test_the_limit_to_which_a_gateway_raises_its_own_is_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert capacity.highest_descriptor_limit() == 4096
    assert capacity.connections_for(4096) == 4032
