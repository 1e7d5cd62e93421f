"""A gateway of the relay, set up as Centrifugo is."""

from __future__ import annotations

from tests.centrifuge.oracle.server import Server
from tests.centrifuge.oracle.setups import Setup
from tests.harness.gateway_process import GatewayProcess


def start_relay(setup: Setup, broker_url: str) -> GatewayProcess:
    """Launch a gateway.

    Args:
        setup: how it is set up.
        broker_url: where its bus is.
    """
    return GatewayProcess(broker_url=broker_url, **setup.relay)


def server_of(gateway: GatewayProcess) -> Server:
    """Return where a gateway is that listens."""
    return Server(gateway.port)
