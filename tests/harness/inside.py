"""The one way into a gateway for tests that look at what no client and no operator can see."""

from __future__ import annotations

import time

from relay import Gateway
from relay.gateway.parts import Parts


def parts_of(gateway: Gateway) -> Parts:
    """Return the parts of a gateway that runs."""
    assert gateway._parts is not None
    return gateway._parts


def let_an_hour_pass(gateway: Gateway) -> None:
    """Set the clock by which rights end."""
    parts = parts_of(gateway)
    authentication = parts.front_door.admission.authentication
    authentication._now = parts.context.registry.expirations.now = lambda: time.time() + 3600
