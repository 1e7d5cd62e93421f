"""The rights that a gateway needs of its user at Redis, each with a command that shows it and changes nothing.

Redis looks at rights before it runs a command. So a command that finds nothing to do, or whose last argument is wrong,
tells whether it was allowed: an error that isn't `NOPERM` is a yes. docs/operations.md has the same list.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple

from relay.brokers.redis.announcement import KEY as NAMESPACES
from relay.brokers.redis.block_store import KEY as BLOCKED_USERS
from relay.channel import EVENTS, INTERNAL

Command = tuple[str | int, ...]


class Need(enum.Enum):
    """Which gateways need a right."""

    ALWAYS = "all"
    POSITIONS = "those whose channels have positions"
    PRESENCE = "those whose channels have presence"


class Right(NamedTuple):
    """One right.

    Args:
        rule: that gives it, in the words of `ACL SETUSER`.
        need: who needs it.
        command: that shows it.
    """

    rule: str
    need: Need
    command: Command


def rights(prefix: str) -> Iterator[Right]:
    """Go through all rights, those that change the state of the link last.

    Args:
        prefix: of channels and keys.
    """
    probe = f"{prefix}{INTERNAL}probe check"
    key = f"{prefix}{{{INTERNAL}check}}:check"
    for need, commands in (
        (Need.ALWAYS, _of_all(prefix, probe)),
        (Need.POSITIONS, _of_positions(prefix, key)),
        (Need.PRESENCE, _of_presence(prefix, key)),
        # Until UNSUBSCRIBE a link takes hardly any other command.
        (Need.ALWAYS, (("SUBSCRIBE", probe), ("UNSUBSCRIBE", probe))),
    ):
        for command in commands:
            yield Right(_rule_of(command), need, command)


def _of_all(prefix: str, probe: str) -> tuple[Command, ...]:
    blocked = f"{prefix}{BLOCKED_USERS}"
    return (
        ("PUBLISH", probe, ""),
        ("PING",),
        ("INFO", "server"),
        ("CLIENT", "SETNAME", "relay-check"),
        ("ZADD", blocked, "XX", 0, ""),
        ("ZCARD", blocked),
        ("ZRANGE", blocked, 0, 0),
        ("ZREMRANGEBYSCORE", blocked, 1, 0),
        ("ZSCORE", blocked, ""),
        ("EXPIRE", blocked, "not a number"),
    )


def _of_positions(prefix: str, key: str) -> tuple[Command, ...]:
    return (
        *_of_scripts(key),
        ("GET", f"{prefix}{NAMESPACES}"),
        ("MGET", key),
        ("SET", key, "", "XX"),
        ("SETRANGE", key, 0, ""),
        ("TTL", key),
        ("EXPIRE", key, "not a number"),
        ("XADD", key, "NOMKSTREAM", "*", "", ""),
        ("XTRIM", key, "MAXLEN", 0),
        ("XRANGE", key, "-", "+"),
        ("XREVRANGE", key, "+", "-"),
    )


def _of_presence(prefix: str, key: str) -> tuple[Command, ...]:
    return (
        *_of_scripts(key),
        ("PUBLISH", f"{prefix}{EVENTS}{INTERNAL}check", ""),
        ("HSET", key, "", "", "a field without a value"),
        ("HDEL", key, ""),
        ("HMGET", key, ""),
        ("HLEN", key),
        ("HSCAN", key, 0),
        ("HRANDFIELD", key),
        ("ZADD", key, "XX", 0, ""),
        ("ZREM", key, ""),
        ("ZSCORE", key, ""),
        ("ZRANGE", key, 0, 0),
        ("ZRANGEBYSCORE", key, 1, 0),
    )


def _of_scripts(key: str) -> tuple[Command, ...]:
    return (
        ("EVALSHA", "0" * 40, 1, key),
        ("SCRIPT", "LOAD", "this is no script"),
        ("TIME",),
        ("DEL", key),
        ("PEXPIRE", key, "not a number"),
    )


def _rule_of(command: Command) -> str:
    """Return the rule that allows a command; a subcommand stands behind a bar."""
    name = str(command[0]).lower()
    return f"+{name}|{str(command[1]).lower()}" if name in ("client", "script") else f"+{name}"
