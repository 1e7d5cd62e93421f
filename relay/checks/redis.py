"""Items: the Redis that carries the messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Final

from relay.brokers import schemes
from relay.brokers.redis.inspection import Inspection
from relay.brokers.redis.rights import Need
from relay.checks.facts import Facts
from relay.checks.verdict import Verdict, missing, ok, unknown, warning
from relay.settings.field import PREFIX
from relay.settings.values import is_loopback

MEBIBYTE: Final = 1024 * 1024

LEAST_VERSION: Final = (6, 2)
"""Before it a Redis doesn't say in HELLO, which nothing can refuse, whether it is a primary."""

LEAST_OUTPUT_BYTES: Final = 32 * MEBIBYTE
"""Redis' own default for subscribers."""

LARGEST_MESSAGES: Final = 16
"""How many of the largest messages have to fit into that: as many may come within a tick."""

UNREADABLE: Final = "what it says of this can't be read"
"""Some proxy, or another program that speaks its protocol."""

NO_REDIS: Final = "there is no Redis"
NOT_ASKED: Final = "Redis can't be asked"


def redis(facts: Facts) -> Verdict:
    """Judge whether there is a bus, and whether it answers."""
    if facts.redis_address is None:
        scheme = schemes.name_of(facts.settings.broker_url)
        return warning(
            f"{scheme}:// is one gateway alone: while it restarts there is no other, and its histories are lost; "
            f"set {PREFIX}BROKER_URL to a Redis"
        )
    found = facts.redis
    if found is None:
        return missing(f"{facts.redis_failure}: no gateway gets ready; check {PREFIX}BROKER_URL")
    if found.info.get("redis_mode") == "cluster":
        return missing(f"{found.place} is a node of a Redis Cluster, which isn't supported: use a single primary")
    version = found.info.get("redis_version", "")
    if version and _numbers(version) < LEAST_VERSION:
        return warning(f"{found.place} is Redis {version}; use {'.'.join(map(str, LEAST_VERSION))} or newer")
    return ok(
        f"Redis {version or 'of a version that it hides'} at {found.place} answers in {found.seconds * 1000:.1f} ms"
    )


def login(facts: Facts) -> Verdict:
    """Judge who else can use Redis, and so has every channel."""
    address = facts.redis_address
    if address is None:
        return ok(NO_REDIS)
    if address.password is None:
        if address.path is not None:
            return ok("only programs that may open its socket file")
        judge = warning if is_loopback(address.host) else missing
        return judge("any program that reaches Redis has every channel, without a password; create a user for gateways")
    if address.username in (None, "default"):
        return warning(
            "gateways use the user default, who may do everything; create one with only the rights they need"
        )
    return ok(f"gateways use the user {address.username}")


def tls(facts: Facts) -> Verdict:
    """Judge whether what gateways and Redis say can be read on the way."""
    address = facts.redis_address
    if address is None:
        return ok(NO_REDIS)
    if address.tls_options is not None:
        if not address.tls_options.verify:
            return warning("ssl_cert_reqs is none: an attacker on the way can pretend to be Redis; remove it")
        return ok("gateways use TLS")
    if address.path is not None or is_loopback(address.host):
        return ok("it is on this machine")
    return warning(
        f"others can read messages and the password on the way to {address.host}; "
        f"set {PREFIX}BROKER_URL to rediss://, unless only you use that network"
    )


def _asked(judge: Callable[[Facts, Inspection], Verdict]) -> Callable[[Facts], Verdict]:
    """Return the judge of what Redis says, for when it may have said nothing."""

    @wraps(judge)
    def judged(facts: Facts) -> Verdict:
        if facts.redis is not None:
            return judge(facts, facts.redis)
        return ok(NO_REDIS) if facts.redis_address is None else unknown(NOT_ASKED)

    return judged


@_asked
def rights(facts: Facts, found: Inspection) -> Verdict:
    """Judge whether the user of gateways may do what they do."""
    needs = {Need.ALWAYS}
    needs |= {Need.POSITIONS} if facts.namespaces.positioned else set()
    needs |= {Need.PRESENCE} if facts.namespaces.present else set()
    lacking = dict.fromkeys(right.rule for right in found.refused if right.need in needs)
    if lacking:
        return missing(
            f"its user lacks {', '.join(lacking)}, or the keys and channels for it; "
            "docs/operations.md#rights-on-redis says what each is for"
        )
    return ok("its user has all rights that these settings need")


@_asked
def memory(facts: Facts, found: Inspection) -> Verdict:
    """Judge what Redis does when its memory is full."""
    policy, limit = found.info.get("maxmemory_policy"), found.info.get("maxmemory")
    if policy is None or limit is None:
        return unknown("its user may not ask (+info): check that maxmemory is set, and maxmemory-policy is noeviction")
    if policy != "noeviction":
        keeps = facts.namespaces.positioned or facts.namespaces.present
        judge = missing if keeps and limit != "0" else warning
        return judge(f"maxmemory-policy is {policy}: Redis may evict histories and blocked users; set noeviction")
    most = _number(limit)
    if most is None:
        return unknown(UNREADABLE)
    if most == 0:
        return warning("maxmemory is not set: Redis may use all memory of the machine, and be killed; set it")
    return ok(f"Redis stores at most {most // MEBIBYTE} MiB, and evicts nothing")


@_asked
def output_buffers(facts: Facts, found: Inspection) -> Verdict:
    """Judge how much Redis keeps for a gateway that doesn't read."""
    words = found.parameters.get("client-output-buffer-limit", "").split()
    if "pubsub" not in words:
        return unknown(
            "its user may not ask (+config|get): check that client-output-buffer-limit pubsub is 64mb 16mb 30"
        )
    match [_number(word) for word in words[words.index("pubsub") + 1 :][:3]]:
        case [int(hard), int(soft), int(seconds)]:
            pass
        case _:
            return unknown(UNREADABLE)
    if hard == 0:
        return missing(
            "a gateway that doesn't read can fill Redis' memory; set client-output-buffer-limit pubsub 64mb 16mb 30"
        )
    least = max(LEAST_OUTPUT_BYTES, LARGEST_MESSAGES * facts.settings.max_message_bytes)
    if hard < least:
        return warning(
            f"Redis cuts a gateway off if {hard // MEBIBYTE} MiB wait for it, and a burst can cause that; "
            f"set client-output-buffer-limit pubsub to {least // MEBIBYTE}mb or more"
        )
    return ok(
        f"Redis cuts off a gateway that doesn't read, at {hard // MEBIBYTE} MiB, or {soft // MEBIBYTE} for {seconds} s"
    )


@_asked
def timeouts(facts: Facts, found: Inspection) -> Verdict:
    """Judge whether Redis ends links that are needed, and those that are dead."""
    timeout, keepalive = found.parameters.get("timeout"), found.parameters.get("tcp-keepalive")
    if timeout is None or keepalive is None:
        return unknown("its user may not ask (+config|get): check that timeout is 0, and tcp-keepalive isn't")
    if timeout != "0":
        return warning(f"Redis ends links that are silent for {timeout} s, such as links of publishers; set timeout 0")
    if keepalive == "0":
        return warning(
            "a gateway whose machine has vanished keeps its subscriptions and their buffers; set tcp-keepalive 60"
        )
    return ok(f"quiet links stay; tcp-keepalive {keepalive} finds dead ones")


@_asked
def persistence(facts: Facts, found: Inspection) -> Verdict:
    """Judge whether what channels keep outlives a restart of Redis."""
    if "aof_enabled" not in found.info:
        return unknown("its user may not ask (+info): check that appendonly is yes if channels keep messages")
    failed = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if found.info.get(name) == "err"]
    if failed:
        return missing("Redis can't write to its disk (is it full?), and refuses to store messages and blocks")
    if found.info["aof_enabled"] != "0":
        return ok("an append-only file keeps histories over a restart")
    if not facts.namespaces.positioned:
        return ok("no channel keeps messages; gateways write blocked users again")
    kept = "everything since the last snapshot" if found.parameters.get("save") else "all histories"
    return missing(
        f"a restart of Redis loses {kept}, and clients are told that they may have missed messages; set appendonly yes"
    )


def _number(text: str) -> int | None:
    """Return a number that isn't negative; None for another text."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(number for part in version.split(".")[:2] if (number := _number(part)) is not None)
