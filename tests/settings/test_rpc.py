"""Settings of the back end that answers calls."""

from __future__ import annotations

from typing import Any

import pytest

from relay import Settings
from tests.settings.refused import problems_of


def test_there_is_none_unless_it_is_named() -> None:
    settings = Settings()
    assert (settings.rpc_url, settings.rpc_headers, settings.rpc_cookies) == (None, None, None)
    assert (settings.rpc_timeout, settings.rpc_concurrency) == (5, 32)


def test_what_it_is_told_is_a_list_of_names() -> None:
    values: dict[str, Any] = {
        "rpc_url": "https://shop.example/rpc",
        "rpc_headers": "X-A, Authorization,x-a",
        "rpc_cookies": "session",
    }
    settings = Settings(**values)
    assert (settings.rpc_headers, settings.rpc_cookies) == (("X-A", "Authorization"), ("session",))


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("RELAY_RPC_URL", "shop.example/rpc", "URL: https://HOST"),
        ("RELAY_RPC_URL", "https://relay:s3cret@shop.example/", "without a user, a password and a fragment"),
        ("RELAY_RPC_HEADERS", "X Device", "not 'X Device'"),
        ("RELAY_RPC_HEADERS", "Authorization,Cookie", "not Cookie: name the cookies in RELAY_RPC_COOKIES"),
        ("RELAY_RPC_HEADERS", "content-length", "not content-length: it belongs to the client's own request"),
        ("RELAY_RPC_HEADERS", ",".join(f"X-{n}" for n in range(33)), "at most 32"),
        ("RELAY_RPC_COOKIES", "a=b", "not 'a=b'"),
        ("RELAY_RPC_TIMEOUT", "0", "0.05 to 60"),
        ("RELAY_RPC_TIMEOUT", "61", "0.05 to 60"),
        ("RELAY_RPC_CONCURRENCY", "0", "1 to 10000"),
    ],
)
def test_what_can_not_be_used_is_refused(variable: str, value: str, reason: str) -> None:
    problems = problems_of(**{variable.removeprefix("RELAY_").lower(): value})
    assert list(problems) == [variable]
    problem = str(problems[variable])
    assert reason in problem
    assert "s3cret" not in problem
