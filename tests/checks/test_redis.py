"""Items: the Redis that carries the messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from relay.brokers.redis.inspection import Inspection
from relay.brokers.redis.rights import rights
from relay.checks import redis
from relay.checks.facts import Facts
from relay.checks.verdict import State, Verdict
from tests.checks.made_facts import facts, redis_facts
from tests.checks.verdicts import says

HISTORY = {"history_size": 100}
NOTHING_SAID = replace(redis_facts(), redis=Inspection("10.0.0.9:6379", 0.001))
UNREACHABLE = replace(redis_facts(), redis=None, redis_failure="connecting to 10.0.0.9:6379: Connection refused")

ASKED = [redis.rights, redis.memory, redis.output_buffers, redis.timeouts, redis.persistence]


@pytest.mark.parametrize("judge", [redis.login, redis.tls, *ASKED])
def test_without_a_redis_nothing_is_asked(judge: Callable[[Facts], Verdict]) -> None:
    assert judge(facts()) == (State.OK, "there is no Redis")


@pytest.mark.parametrize("judge", ASKED)
def test_of_a_redis_that_does_not_answer_nothing_is_known(judge: Callable[[Facts], Verdict]) -> None:
    assert judge(UNREACHABLE) == (State.UNKNOWN, "Redis can't be asked")


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (facts(), State.WARNING, "memory:// is one gateway alone"),
        (UNREACHABLE, State.MISSING, "connecting to 10.0.0.9:6379: Connection refused: no gateway gets ready"),
        (redis_facts(), State.OK, "Redis 7.0.15 at 10.0.0.9:6379 answers in 0.5 ms"),
        (redis_facts(info={"redis_mode": "cluster"}), State.MISSING, "Redis Cluster"),
        (redis_facts(info={"redis_version": "6.0.16"}), State.WARNING, "use 6.2 or newer"),
        (redis_facts(info={"redis_version": "8.0"}), State.OK, "Redis 8.0"),
        (NOTHING_SAID, State.OK, "of a version that it hides"),
    ],
)
def test_redis(found: Facts, state: State, words: str) -> None:
    assert says(redis.redis(found), state, words)


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("redis://relay:secret@redis.internal", State.OK),
        ("redis://:secret@redis.internal", State.WARNING),
        ("redis://default:secret@redis.internal", State.WARNING),
        ("redis://redis.internal", State.MISSING),
        ("redis://localhost", State.WARNING),
        ("unix:///run/redis.sock", State.OK),
    ],
)
def test_the_login(url: str, state: State) -> None:
    verdict = redis.login(redis_facts(url))
    assert verdict.state is state
    assert "secret" not in verdict.reason


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("redis://redis.internal", State.WARNING),
        ("redis://127.0.0.1", State.OK),
        ("unix:///run/redis.sock", State.OK),
        ("rediss://redis.internal", State.OK),
        ("rediss://redis.internal?ssl_cert_reqs=none", State.WARNING),
    ],
)
def test_tls(url: str, state: State) -> None:
    assert redis.tls(redis_facts(url)).state is state


@pytest.mark.parametrize(
    ("rule", "settings", "state"),
    [
        ("+publish", {}, State.MISSING),
        ("+xadd", {}, State.OK),
        ("+xadd", HISTORY, State.MISSING),
        ("+xadd", {"namespaces": '{"chat": {"positions": true}}'}, State.MISSING),
        ("+hset", HISTORY, State.OK),
        ("+hset", {"presence": "on"}, State.MISSING),
    ],
)
def test_rights(rule: str, settings: dict[str, Any], state: State) -> None:
    """Only those that these settings need."""
    found = redis_facts(**settings)
    assert found.redis is not None
    lacking = tuple(right for right in rights("relay:") if right.rule == rule)
    verdict = redis.rights(replace(found, redis=replace(found.redis, refused=lacking)))
    assert verdict.state is state
    assert (f"lacks {rule}," in verdict.reason) is (state is State.MISSING)
    assert redis.rights(found).state is State.OK


@pytest.mark.parametrize(
    ("info", "settings", "state"),
    [
        ({}, {}, State.OK),
        ({"maxmemory": "0"}, {}, State.WARNING),
        ({"maxmemory_policy": "allkeys-lru"}, {}, State.WARNING),
        ({"maxmemory_policy": "allkeys-lru"}, HISTORY, State.MISSING),
        ({"maxmemory_policy": "allkeys-lru"}, {"presence": "on"}, State.MISSING),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": "0"}, HISTORY, State.WARNING),
    ],
)
def test_memory(info: dict[str, str], settings: dict[str, Any], state: State) -> None:
    assert redis.memory(redis_facts(info=info, **settings)).state is state


@pytest.mark.parametrize(
    ("limit", "settings", "state", "words"),
    [
        ("67108864 16777216 30", {}, State.OK, "at 64 MiB, or 16 for 30 s"),
        ("0 0 0", {}, State.MISSING, "set client-output-buffer-limit pubsub 64mb 16mb 30"),
        ("1048576 0 0", {}, State.WARNING, "to 32mb or more"),
        (
            "67108864 16777216 30",
            {"max_message_bytes": 16_777_216, "send_buffer_bytes": 16_777_216},
            State.WARNING,
            "to 256mb or more",
        ),
    ],
)
def test_output_buffers(limit: str, settings: dict[str, Any], state: State, words: str) -> None:
    found = redis_facts(parameters={"client-output-buffer-limit": f"normal 0 0 0 pubsub {limit}"}, **settings)
    assert says(redis.output_buffers(found), state, words)


@pytest.mark.parametrize(
    ("parameters", "state"),
    [({}, State.OK), ({"timeout": "300"}, State.WARNING), ({"tcp-keepalive": "0"}, State.WARNING)],
)
def test_timeouts(parameters: dict[str, str], state: State) -> None:
    assert redis.timeouts(redis_facts(parameters=parameters)).state is state


@pytest.mark.parametrize(
    ("info", "save", "settings", "state", "words"),
    [
        ({}, "", HISTORY, State.OK, "append-only"),
        ({"aof_enabled": "0"}, "", {}, State.OK, "no channel keeps"),
        ({"aof_enabled": "0"}, "", HISTORY, State.MISSING, "loses all histories"),
        ({"aof_enabled": "0"}, "3600 1", HISTORY, State.MISSING, "since the last snapshot"),
        ({"aof_last_write_status": "err"}, "", {}, State.MISSING, "can't write to its disk"),
        ({"rdb_last_bgsave_status": "err"}, "", {}, State.MISSING, "can't write to its disk"),
    ],
)
def test_persistence(info: dict[str, str], save: str, settings: dict[str, Any], state: State, words: str) -> None:
    assert says(redis.persistence(redis_facts(info=info, parameters={"save": save}, **settings)), state, words)


@pytest.mark.parametrize(
    ("judge", "right"),
    [
        (redis.memory, "+info"),
        (redis.persistence, "+info"),
        (redis.output_buffers, "+config|get"),
        (redis.timeouts, "+config|get"),
    ],
)
def test_what_redis_does_not_tell_is_unknown(judge: Callable[[Facts], Verdict], right: str) -> None:
    assert says(judge(NOTHING_SAID), State.UNKNOWN, right)


@pytest.mark.parametrize("number", ["", "abc", "-1", "1.5", "²", "9" * 5000])
def test_what_is_no_number_is_unknown(number: str) -> None:
    unreadable = (State.UNKNOWN, "what it says of this can't be read")
    assert redis.memory(redis_facts(info={"maxmemory": number})) == unreadable
    for limit in (f"pubsub {number} 1 1", f"pubsub 1 1 {number}", "pubsub 1", "pubsub"):
        assert redis.output_buffers(redis_facts(parameters={"client-output-buffer-limit": limit})) == unreadable
    assert redis.redis(redis_facts(info={"redis_version": f"{number}.7"})).state in (State.OK, State.WARNING)
