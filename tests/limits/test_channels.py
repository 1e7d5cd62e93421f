"""Channels of one client."""

from __future__ import annotations

import pytest

from relay.limits.channels import ChannelLimits


@pytest.mark.parametrize("most", [1, 10, 128, 10_000])
def test_a_client_may_change_all_of_its_channels_at_once(most: int) -> None:
    limits = ChannelLimits.of(most)
    assert limits.most == most
    assert limits.subscribing.count(0.0, 0.0, 2 * most) is not None


@pytest.mark.parametrize("most", [1, 10, 128, 10_000])
def test_a_client_that_goes_through_ever_new_channels_is_bounded(most: int) -> None:
    limits = ChannelLimits.of(most)
    assert 1 <= limits.subscribing.per_second <= max(1, most / 10)
