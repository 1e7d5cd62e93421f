"""The bus of a gateway, from its settings."""

from __future__ import annotations

from relay.brokers import BrokerOptions
from relay.brokers.redis.address import describe, parse_address
from relay.logs import Logger
from relay.settings import Settings

log = Logger("relay.gateway")


def broker_options(settings: Settings) -> BrokerOptions:
    """Return what the broker is made with."""
    return BrokerOptions(
        url=settings.broker_url,
        prefix=settings.broker_prefix,
        ca_file=None if settings.broker_ca_file is None else str(settings.broker_ca_file),
        timeout=settings.broker_timeout,
        probe_interval=settings.probe_interval,
        publish_timeout=settings.publish_timeout,
        publish_buffer_bytes=settings.publish_buffer_bytes,
    )


def bus_name(settings: Settings) -> str:
    """Return which bus is in use, for logs and operators: its kind and address, without any secret."""
    return describe(settings.broker_url)


def warn_of_database(settings: Settings) -> None:
    """Warn at start when the URL has a database number: it separates nothing.

    Not refused: Redis URLs that a platform hands out may have a number.
    """
    if settings.broker_url == "memory://":
        return
    if db := parse_address(settings.broker_url).db:
        log.warning(
            "the database number does not separate deployments",
            reason="pub/sub is the same in all databases of a Redis",
            database=db,
            separate_with="RELAY_BROKER_PREFIX",
            prefix=settings.broker_prefix,
        )
