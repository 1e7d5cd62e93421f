"""Which protocol a WebSocket speaks, by its path and by the subprotocols that it offers."""

from __future__ import annotations

import pytest

from relay import protocols
from relay.protocols import find_endpoint, plain
from tests.protocols import multiplexed

MODULE = "tests.protocols.multiplexed"


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/", "/ws/a", "/wss", "/nowhere", "/ws/x.y", "/x.y"])
def test_clients_speak_the_plain_protocol(path: str) -> None:
    """Also at paths where it will tell them where to go."""
    for offered in ([], ["chat"], ["v2.chat", "/ws"]):
        assert find_endpoint(path, offered) is plain.endpoint


@pytest.mark.parametrize(
    ("key", "path", "offered", "found"),
    [
        ("/x", "/x", [], True),
        ("/x", "/x/", [], True),
        ("/x", "/x/y", ["chat"], True),
        ("/x", "/xy", [], False),
        ("/x", "/", [], False),
        ("/x", "/ws/x", [], False),
        ("/x", "/%78", [], False),
        ("/ws/x", "/ws/x", [], True),
        ("/ws/x", "/ws/x/y", [], True),
        ("/ws/x", "/ws/xy", [], False),
        ("x.y", "/ws/a", ["x.y"], True),
        ("x.y", "/nowhere", ["chat", "x.y"], True),
        ("x.y", "/x.y", [], False),
        ("x.y", "/ws/a", ["X.Y"], False),
    ],
)
def test_another_one_is_found_by_its_registration(
    monkeypatch: pytest.MonkeyPatch, key: str, path: str, offered: list[str], found: bool
) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, key, MODULE)
    assert find_endpoint(path, offered) is (multiplexed.endpoint if found else plain.endpoint)


def test_a_subprotocol_counts_more_than_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/x", MODULE)
    monkeypatch.setitem(protocols.ENDPOINTS, "plain", protocols.PLAIN)
    assert find_endpoint("/x/a", ["chat", "plain"]) is plain.endpoint
    assert find_endpoint("/x/a", ["chat"]) is multiplexed.endpoint
