"""Where clients of the Centrifuge protocol connect by WebSockets, and which format they speak."""

from __future__ import annotations

import pytest

from relay.errors import Refused
from relay.protocols import find_endpoint
from relay.protocols.centrifuge import JSON, PATH, PROTOBUF, endpoint, json_wire, protobuf_wire
from relay.protocols.request import ConnectRequest


def opening(path: str = PATH, query: dict[str, str] | None = None, offered: str = "") -> ConnectRequest:
    """Return the request of a client."""
    headers = {"Sec-WebSocket-Protocol": offered} if offered else {}
    return ConnectRequest(path, query or {}, headers, "192.0.2.1")


@pytest.mark.parametrize(
    ("query", "offered", "format"),
    [
        ({}, "", "json"),
        ({"other": "1"}, "other", "json"),
        ({"format": "json"}, "", "json"),
        ({"cf_protocol": "json", "format": "protobuf"}, "", "json"),
        ({"format": "protobuf"}, "", "protobuf"),
        ({"cf_protocol": "protobuf"}, "", "protobuf"),
        ({}, "centrifuge-json", "json"),
        ({}, "centrifuge-protobuf", "protobuf"),
        ({"format": "json"}, "chat, centrifuge-protobuf", "protobuf"),
    ],
)
def test_a_client_says_its_format_by_a_subprotocol_or_a_parameter(
    query: dict[str, str], offered: str, format: str
) -> None:
    protocol = endpoint.open(opening(query=query, offered=offered), "lobby")
    assert protocol.format == format
    assert protocol.wire is (json_wire() if format == "json" else protobuf_wire())


@pytest.mark.parametrize("query", [{"format": "xml"}, {"cf_protocol": "JSON"}])
def test_another_format_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(Refused, match="must be json or protobuf") as caught:
        endpoint.open(opening(query=query), "lobby")
    assert caught.value.status == 400


@pytest.mark.parametrize("path", [f"{PATH}/lobby", "/connection", "/"])
def test_another_path_is_refused(path: str) -> None:
    with pytest.raises(Refused, match=PATH) as caught:
        endpoint.open(opening(path), "lobby")
    assert caught.value.status == 404


def test_the_path_may_end_with_a_slash() -> None:
    assert endpoint.open(opening(f"{PATH}/"), "lobby").connects_by_message


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [([], None), (["chat"], None), ([JSON], JSON), (["chat", PROTOBUF], PROTOBUF), ([JSON, PROTOBUF], PROTOBUF)],
)
def test_the_subprotocol_of_a_format_is_chosen(offered: list[str], chosen: str | None) -> None:
    """Whatever RELAY_SUBPROTOCOLS are."""
    assert endpoint.select_subprotocol(offered, ("*",)) == chosen


def test_it_is_found_by_its_path() -> None:
    assert find_endpoint(PATH, []) is endpoint
    assert find_endpoint(PATH, [PROTOBUF]) is endpoint
    assert find_endpoint("/ws/connection/websocket", []) is not endpoint
