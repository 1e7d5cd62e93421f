"""The addresses of gateways, and of what they have for a channel."""

from __future__ import annotations

import pytest

from relay.sdk.gateway_address import GatewayAddress


@pytest.mark.parametrize(
    ("text", "channel", "expected"),
    [
        ("http://localhost:8000", "lobby", "http://localhost:8000/sse/lobby"),
        ("ws://localhost:8000/", "lobby", "http://localhost:8000/sse/lobby"),
        ("wss://h/relay/ws/other", "news:eu", "https://h/relay/sse/news:eu"),
        ("https://[::1]/sse", "a/../b", "https://[::1]/sse/a%2F..%2Fb"),
        ("http://h", "100%?#& 雪", "http://h/sse/100%25%3F%23%26%20%E9%9B%AA"),
    ],
)
def test_a_channel_has_an_endpoint(text: str, channel: str, expected: str) -> None:
    assert GatewayAddress.parse(text).endpoint("sse", channel) == expected


def test_the_channel_of_an_endpoint_is_the_one_that_it_was_made_of() -> None:
    address = GatewayAddress.parse("https://h/relay")
    again = GatewayAddress.parse(address.endpoint("sse", "a/ws/b"))
    assert (again.base, again.channel) == (address.base, "a/ws/b")
