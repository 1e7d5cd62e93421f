"""The one way into a gateway for tests that look at what no client and no operator can see."""

from __future__ import annotations

from relay import Gateway
from relay.gateway.parts import Parts


def parts_of(gateway: Gateway) -> Parts:
    """Return the parts of a gateway that runs."""
    assert gateway._parts is not None
    return gateway._parts
