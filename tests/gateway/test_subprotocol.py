"""What is answered to the subprotocols that a client offers (RFC 6455, sections 1.9 and 4.2.2)."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.conftest import EmbeddedFactory
from tests.harness.http_response import HttpResponse
from tests.harness.raw_websocket import RawWebSocket


async def answer(port: int, *offers: str) -> HttpResponse:
    """Return the answer to a handshake with a header for each of some offers."""
    async with RawWebSocket(port) as raw:
        return await raw.upgrade("/ws/a", *(f"Sec-WebSocket-Protocol: {offer}" for offer in offers))


@pytest.mark.parametrize(
    ("accepted", "offers", "chosen"),
    [
        (("*",), [], None),
        (("*",), ["chat"], "chat"),
        (("*",), ["v2.chat, v1.chat"], "v2.chat"),
        (("*",), ["v2.chat", "v1.chat"], "v2.chat"),
        (("*",), [""], None),
        (("*",), ["", "chat"], "chat"),
        (("*",), [", ,v2.chat,,"], "v2.chat"),
        (("a", "b"), [], None),
        (("a", "b"), ["x,b,a"], "a"),
        (("a", "b"), ["x", "b"], "b"),
        (("b", "*"), ["x,b"], "b"),
        (("b", "*"), ["x,y"], "x"),
    ],
)
async def test_one_of_those_that_are_offered_is_accepted(
    embedded: EmbeddedFactory, accepted: tuple[str, ...], offers: list[str], chosen: str | None
) -> None:
    """The first that the settings name; with a star, the first that is offered. Repeated headers are one list."""
    (gateway,) = await embedded(1, subprotocols=accepted)
    response = await answer(gateway.port, *offers)
    assert response.status == 101
    assert response.headers.get("sec-websocket-protocol") == chosen


async def test_a_client_whose_subprotocols_are_not_accepted_is_told_why(embedded: EmbeddedFactory) -> None:
    """Let in without one, a browser would end the connection without a word, and it would count as accepted."""
    (gateway,) = await embedded(1, subprotocols=("chat", "v2.chat"))
    for offer in ("mqtt", "CHAT", "chat2"):
        response = await answer(gateway.port, offer)
        assert response.status == 400
        assert "RELAY_SUBPROTOCOLS" in response.text
        assert "chat, v2.chat" in response.text
    assert gateway.counters.connections_refused == {"bad_request": 3}
    assert gateway.counters.connections_accepted == 0


@pytest.mark.parametrize("offer", [",", "a b", "a/b", '"chat"', "a;q=1", "a=b", "ch\u00e4t", "(a)", "a,b c"])
async def test_what_is_no_list_of_names_is_refused(embedded: EmbeddedFactory, offer: str) -> None:
    (gateway,) = await embedded(1)
    response = await answer(gateway.port, offer)
    assert response.status == 400
    assert "Sec-WebSocket-Protocol" in response.text


async def test_a_client_library_learns_which_one_it_speaks(embedded: EmbeddedFactory) -> None:
    (any_of_them,) = await embedded(1)
    (listed,) = await embedded(1, subprotocols=("b",))
    offered = [Subprotocol("a"), Subprotocol("b")]
    for gateway, chosen in ((any_of_them, "a"), (listed, "b")):
        async with connect(f"{gateway.url}/ws/x?echo=1", subprotocols=offered, proxy=None) as client:
            assert client.subprotocol == chosen
            await client.send("hello")
            assert await client.recv() == "hello"
    with pytest.raises(InvalidStatus, match="400"):
        await connect(f"{listed.url}/ws/x", subprotocols=offered[:1], proxy=None)
