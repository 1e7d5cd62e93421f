"""A URL is resolved to the address of its server."""

from __future__ import annotations

import socket

import pytest

from relay.loadtest.plan.server_address import ServerAddress, resolve


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "ws://127.0.0.1:8000",
            ServerAddress(socket.AF_INET, ("127.0.0.1", 8000), False, "127.0.0.1", "127.0.0.1:8000"),
        ),
        ("ws://127.0.0.1", ServerAddress(socket.AF_INET, ("127.0.0.1", 80), False, "127.0.0.1", "127.0.0.1")),
        ("wss://127.0.0.1", ServerAddress(socket.AF_INET, ("127.0.0.1", 443), True, "127.0.0.1", "127.0.0.1")),
        (
            "ws://user:pass@127.0.0.1:81",
            ServerAddress(socket.AF_INET, ("127.0.0.1", 81), False, "127.0.0.1", "127.0.0.1:81"),
        ),
        ("ws://[::1]:8000", ServerAddress(socket.AF_INET6, ("::1", 8000, 0, 0), False, "::1", "[::1]:8000")),
    ],
)
def test_a_url_leads_to_an_address(url: str, expected: ServerAddress) -> None:
    assert resolve(url) == expected


def test_a_name_with_both_kinds_of_addresses_is_reached_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 80, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert resolve("ws://both").address == ("127.0.0.1", 80)


def test_an_unknown_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="not known"):
        resolve("ws://nowhere.invalid")
