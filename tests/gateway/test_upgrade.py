"""The opening handshake of a WebSocket; most of it is tried in test_handshake."""

from __future__ import annotations

import pytest

from tests.conftest import EmbeddedFactory
from tests.harness.raw_websocket import RawWebSocket

LISTED = "https://app.example.com"


async def status(port: int, *headers: str) -> tuple[int, str]:
    """Return status and reason of a handshake."""
    async with RawWebSocket(port) as raw:
        answer = await raw.upgrade("/ws/a", *headers)
        return answer.status, answer.text


async def test_without_a_setting_any_page_may_open_a_websocket(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    assert (await status(gateway.port, "Origin: https://anywhere.example"))[0] == 101


@pytest.mark.parametrize("origin", [LISTED, None])
async def test_listed_pages_and_programs_may_open_one(embedded: EmbeddedFactory, origin: str | None) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    assert (await status(gateway.port, *([] if origin is None else [f"Origin: {origin}"])))[0] == 101


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://127.0.0.1", f"{LISTED}.evil"])
async def test_other_pages_are_refused(embedded: EmbeddedFactory, origin: str) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    code, reason = await status(gateway.port, f"Origin: {origin}")
    assert code == 403
    assert origin in reason
    assert gateway.counters.connections_refused == {"forbidden": 1}


async def test_a_page_can_not_say_twice_where_it_is_from(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    assert (await status(gateway.port, f"Origin: {LISTED}", "Origin: https://evil.example.com"))[0] == 400
    assert (await status(gateway.port, f"Origin: {LISTED}", "Host: evil.example.com"))[0] == 400


async def test_with_a_star_any_page_may_open_one(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=("*",))
    assert (await status(gateway.port, "Origin: https://anywhere.example"))[0] == 101
