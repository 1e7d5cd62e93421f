"""Settings of the process: pings, its end, its logs, its event loop, its workers."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import BaseModel, ValidationInfo, field_validator

from relay.brokers import schemes
from relay.fan_out.library import FanOutUnavailable
from relay.fan_out.ways import check_way
from relay.settings.field import PREFIX, setting
from relay.settings.values import (
    Lowered,
    Range,
    Text,
    Workers,
)


class ProcessSettings(BaseModel):
    """How the process keeps in touch with clients, ends, and tells what it does."""

    ping_interval: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        25.0, "Keepalive", "Seconds between two pings of a client."
    )
    ping_timeout: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        10.0, "Keepalive", "Seconds that a client has to answer a ping; at most the interval."
    )

    drain_delay: Annotated[float, Range("seconds", 0, 3600)] = setting(
        0.0, "Stopping", "Seconds between turning unready and refusing new clients."
    )
    drain_seconds: Annotated[float, Range("seconds", 0, 3600)] = setting(
        5.0, "Stopping", "Seconds over which clients are closed at an even pace."
    )

    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lowered] = setting(
        "info", "Process", "Lowest level of log entries to write."
    )
    log_format: Annotated[Literal["auto", "console", "json"], Lowered] = setting(
        "auto", "Process", "How log entries look; auto: console on a terminal, JSON elsewhere."
    )
    event_loop: Annotated[Literal["auto", "uvloop", "asyncio"], Lowered] = setting(
        "auto", "Process", "Event loop of `relay serve`; auto: uvloop if it is installed."
    )
    fanout: Annotated[Literal["auto", "io_uring", "send", "python"], Lowered] = setting(
        "auto", "Process", "How messages are written to many clients; auto: the first of these that works here."
    )
    workers: Workers = setting(
        1, "Process", "Processes of `relay serve` that share the port; auto: one for each processor. Needs Redis."
    )
    worker_timeout: Annotated[float, Range("seconds", 1, 3600)] = setting(
        5.0, "Process", "Seconds that a worker process may be silent before it is replaced."
    )
    revision: Text | None = setting(None, "Process", "Name of the build, such as a commit; shown in relay_build_info.")

    @field_validator("ping_timeout")
    @classmethod
    def _within_the_interval(cls, value: float, info: ValidationInfo) -> float:
        if value > (interval := info.data.get("ping_interval", value)):
            raise ValueError(f"at most {PREFIX}PING_INTERVAL, which is {interval:g}")
        return value

    @field_validator("workers")
    @classmethod
    def _connected_by_a_bus(cls, value: int | str, info: ValidationInfo) -> int | str:
        """Refuse several processes where no bus connects them, or where they can't share a port."""
        if value == 1:
            return value
        url = info.data.get("broker_url")
        if url is not None and not schemes.find(url).connects_processes:
            name = schemes.name_of(url)
            raise ValueError(f"more than 1 needs Redis: {name}:// can't connect processes, see {PREFIX}BROKER_URL")
        if sys.platform != "linux":
            raise ValueError("more than 1 needs Linux, whose kernel spreads clients over processes")
        return value

    @field_validator("fanout")
    @classmethod
    def _at_hand(cls, value: Literal["auto", "io_uring", "send", "python"]) -> str:
        if value != "auto":
            try:
                check_way(value)
            except FanOutUnavailable as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("event_loop")
    @classmethod
    def _installed(cls, value: str) -> str:
        if value == "uvloop" and find_spec("uvloop") is None:
            raise ValueError("the extra 'uvloop' is not installed: pip install 'relay-pubsub[uvloop]'")
        return value
