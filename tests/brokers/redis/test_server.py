"""Which Redis is there, by its own words."""

from __future__ import annotations

from typing import Any

import pytest

from relay.brokers.redis.server import Server, role_of, run_id_of


@pytest.mark.parametrize(
    ("reply", "role"),
    [
        ([b"server", b"redis", b"id", 7, b"mode", b"standalone", b"role", b"master", b"modules", []], "master"),
        ([b"mode", b"standalone", b"role", b"replica"], "replica"),
        ([b"mode", b"cluster", b"role", b"replica"], None),
        ([b"server", b"something else"], None),
        ([b"pong", b""], None),
        ([b"odd"], None),
        (b"PONG", None),
        (None, None),
    ],
)
def test_hello_tells_the_role(reply: Any, role: str | None) -> None:
    assert role_of(reply) == role


@pytest.mark.parametrize(
    ("reply", "run_id"),
    [
        (b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:f00ba4\r\n", "f00ba4"),
        (b"# Server\r\nredis_mode:cluster\r\nrun_id:f00ba4\r\n", None),
        (b"", None),
        (None, None),
    ],
)
def test_info_tells_the_run_id(reply: Any, run_id: str | None) -> None:
    assert run_id_of(reply) == run_id


def test_a_replica_goes_by_two_names() -> None:
    assert [Server(role).is_replica for role in ("replica", "slave", "master", "active-replica", None)] == [
        True,
        True,
        False,
        False,
        False,
    ]
