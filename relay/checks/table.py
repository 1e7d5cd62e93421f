"""All items, in the order of docs/production.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from relay.checks import access, front, redis, resources
from relay.checks.facts import Facts
from relay.checks.verdict import Verdict

PAGE: Final = "docs/production.md"


class Item(NamedTuple):
    """One line of the checklist.

    Args:
        name: its heading on the page.
        judge: says how it stands.
    """

    name: str
    judge: Callable[[Facts], Verdict]

    @property
    def anchor(self) -> str:
        """Where the page says why."""
        return f"{PAGE}#{self.name.lower().replace(' ', '-')}"


ITEMS: Final = (
    Item("Authentication", access.authentication),
    Item("Rights", access.rights),
    Item("Tokens", access.tokens),
    Item("Origins", access.origins),
    Item("Host names", access.host_names),
    Item("Secrets", access.secrets),
    Item("Back ends", access.back_ends),
    Item("Server API", access.server_api),
    Item("Listen address", front.listen_address),
    Item("TLS", front.tls),
    Item("Certificate", front.certificate),
    Item("Trusted proxies", front.trusted_proxies),
    Item("Playground", front.playground),
    Item("Metrics port", front.metrics_port),
    Item("Pings", front.pings),
    Item("Kept connections", front.kept_connections),
    Item("Drain", front.drain),
    Item("Stop timeout", front.stop_timeout),
    Item("Redis", redis.redis),
    Item("Redis login", redis.login),
    Item("Redis TLS", redis.tls),
    Item("Redis rights", redis.rights),
    Item("Redis memory", redis.memory),
    Item("Redis output buffers", redis.output_buffers),
    Item("Redis timeouts", redis.timeouts),
    Item("Redis persistence", redis.persistence),
    Item("Limits", resources.limits),
    Item("Open files", resources.open_files),
    Item("Accept queue", resources.accept_queue),
    Item("Memory", resources.memory),
    Item("Cores", resources.cores),
    Item("Event loop", resources.event_loop),
    Item("Log", resources.log),
    Item("Alerts", resources.alerts),
    Item("Capacity", resources.capacity),
)


def judge_all(facts: Facts) -> list[tuple[Item, Verdict]]:
    """Return how each item stands."""
    return [(item, item.judge(facts)) for item in ITEMS]
