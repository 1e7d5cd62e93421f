"""The page of limits: all that there are, with their settings, defaults and labels."""

from __future__ import annotations

import re
from typing import Any

import pytest

from relay.gateway.parts import _limit_options
from relay.limits.address_rate import MOST_ADDRESSES
from relay.limits.gateway_limits import NEW_CONNECTIONS_BURST_SECONDS, NEW_CONNECTIONS_SHARE
from relay.limits.limit import Limit
from relay.limits.meter import BURST_SECONDS, PATIENCE_SECONDS
from relay.settings import Settings
from relay.settings import limits as defaults
from tests.docs.pages import table_below, text_of

PAGE = "docs/limits.md"
TABLE = table_below(PAGE, "| what | setting | default |")


def row_of(limit: Limit) -> list[str]:
    """Return the cells of a limit's row."""
    (row,) = [row for row in TABLE if row[4] == f"`{limit.label}`"]
    return row


@pytest.mark.parametrize("limit", [limit for limit in Limit if limit is not Limit.ADDRESSES])
def test_each_limit_has_its_row_with_its_setting_and_what_happens(limit: Limit) -> None:
    _, setting, default, beyond, _ = row_of(limit)
    assert setting.removesuffix(", a quarter of it") == f"`{limit.setting}`"
    assert str(limit.status) in beyond or beyond.startswith("read more slowly") or beyond == "the request fails"
    name = str(limit.setting).removeprefix("RELAY_").lower()
    value: int | None = getattr(Settings(), name)
    if limit is Limit.NEW_ADDRESS_CONNECTIONS:
        value = Settings().max_new_connections_per_second // NEW_CONNECTIONS_SHARE
    known = {
        "max_publishes_per_second": defaults.PUBLISHES_PER_SECOND,
        "max_connections_per_address": defaults.CONNECTIONS_PER_ADDRESS,
        "max_connections_per_user": defaults.CONNECTIONS_PER_USER,
        "max_failed_authentications": defaults.FAILED_AUTHENTICATIONS,
    }
    assert default.startswith(str(known[name] if value is None else value))


def test_the_table_has_no_other_rows() -> None:
    assert len(TABLE) == len(Limit) - 1


def test_what_the_page_says_of_bursts_and_waits_is_true() -> None:
    page = text_of(PAGE)
    assert BURST_SECONDS == 2
    assert f"after {PATIENCE_SECONDS:g} s" in page
    burst = Settings().max_new_connections_per_second * NEW_CONNECTIONS_BURST_SECONDS
    assert f"and {burst} at once" in page
    assert NEW_CONNECTIONS_SHARE == 4
    assert f"and {burst // NEW_CONNECTIONS_SHARE} at once" in page
    assert f"{MOST_ADDRESSES:,} others" in page


@pytest.mark.parametrize(("auth", "limit"), [("none", 0), ("key", 0), ("jwt", 1000)])
def test_users_are_limited_where_a_name_proves_something(auth: str, limit: int) -> None:
    secrets: dict[str, Any] = {"auth_keys": "a-key-of-many-letters", "jwt_secret": "a" * 32}
    assert _limit_options(Settings(auth=auth, **secrets), auth).connections_per_user == limit
    assert _limit_options(Settings(auth=auth, max_connections_per_user=5, **secrets), auth).connections_per_user == 5


def test_the_settings_on_the_page_exist() -> None:
    named = {name.lower() for name in re.findall(r"RELAY_(\w+)", text_of(PAGE))}
    assert named <= set(Settings.model_fields)
