"""What addresses hold of something that is shared."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from relay.errors import Refused
from relay.limits.address import PerAddress
from relay.limits.address_shares import AddressShares
from relay.limits.limit import Limit
from relay.metrics.counters import Counters


def test_an_address_that_holds_more_than_is_left_is_refused() -> None:
    counters = Counters()
    shares = AddressShares(Limit.POSTED_BYTES, PerAddress.of(None, 1), 100, counters)
    with ExitStack() as held:
        held.enter_context(shares.held("8.8.8.8", 40))
        with pytest.raises(Refused) as refused, shares.held("8.8.8.8", 21):
            pass
        assert (refused.value.status, refused.value.cause) == (429, "posted_bytes")
        assert counters.limits_reached == {"posted_bytes": 1}
        held.enter_context(shares.held("1.1.1.1", 30))
        # A balancer that no setting names has a private address, and may hold all that is left. Whatever has run out
        # refuses what is too much.
        held.enter_context(shares.held("10.0.0.1", 30))
        held.enter_context(shares.held("1.0.0.1", 1))
        assert len(shares) == 2
    assert len(shares) == 0
    assert counters.limits_reached == {"posted_bytes": 1}


def test_one_alone_may_hold_anything() -> None:
    shares = AddressShares(Limit.POSTED_BYTES, PerAddress.of(None, 1), 100, Counters())
    with shares.held("8.8.8.8", 101):
        pass
    assert len(shares) == 0
