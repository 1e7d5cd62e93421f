"""The limits of a gateway, as its settings make them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from relay.errors import Refused
from relay.limits.address import PerAddress
from relay.limits.gateway_limits import GatewayLimits, LimitOptions
from relay.metrics.counters import Counters


@pytest.mark.parametrize("publishes", [None, 0, 50])
def test_what_waits_is_shared_out_to_public_addresses_however_many_publishes_they_have(publishes: int | None) -> None:
    none = PerAddress.of(0, 0)
    options = LimitOptions(none, 0, 0, PerAddress.of(publishes, 1000), none, 0, posted_bytes=100)
    shares = GatewayLimits.of(options, Counters(), lambda: 0.0).posted_bytes
    with ExitStack() as held:
        held.enter_context(shares.held("8.8.8.8", 40))
        with pytest.raises(Refused), shares.held("8.8.8.8", 21):
            pass
        held.enter_context(shares.held("10.0.0.1", 40))
        held.enter_context(shares.held("10.0.0.1", 20))
        assert len(shares) == 1
