"""Histories that can't be read, or are not told whole."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers import Receipt, Source
from relay.brokers.history import HistoryError, HistoryStore
from relay.brokers.memory import MemoryBroker
from relay.brokers.memory_history import MemoryHistoryStore
from relay.errors import BusUnavailable
from relay.message import Message
from relay.web.api import call as api_call
from tests.conftest import EmbeddedFactory
from tests.harness.free_port import free_port
from tests.harness.server_api import KEY, call, error_of
from tests.web.api.histories import NAMESPACES, Start, history, offsets, publish
from tests.web.api.histories import start as start


async def test_an_answer_has_a_bound(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made in one piece. What is left comes with the next question."""
    gateway = await start()
    monkeypatch.setattr(api_call, "ANSWER_BYTES", 25)
    await publish(gateway, *(f"{number}234567" for number in range(5)))  # 9 bytes each, with the quotes
    page = await history(gateway, limit=-1)
    assert (offsets(page), page["offset"]) == ([1, 2], 5)
    read = {"history": {"channel": "kept:a", "limit": 1}}
    replies = (await call(gateway.port, "batch", {"commands": [read] * 3}))["replies"]
    assert [next(iter(reply)) for reply in replies] == ["history", "history", "error"]
    assert (replies[2]["error"]["code"], "ask for less" in replies[2]["error"]["message"]) == (106, True)
    monkeypatch.setattr(api_call, "ANSWER_BYTES", 5)
    assert offsets(await history(gateway, limit=-1)) == [1]


async def test_a_bus_that_is_away_is_no_empty_history(embedded: EmbeddedFactory) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    (gateway,) = await embedded(1, api_keys=KEY, namespaces=NAMESPACES, broker_url=url)
    for method in ("history", "history_remove"):
        code, message = await error_of(gateway.port, method, channel="kept:a")
        assert (code, "the history is not available" in message) == (100, True), message


async def test_a_bus_that_does_not_answer_in_time_is_an_error(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(self: HistoryStore, channel: str, **how: object) -> None:
        await asyncio.Event().wait()

    (gateway,) = await embedded(1, api_keys=KEY, namespaces=NAMESPACES)
    monkeypatch.setattr(MemoryHistoryStore, "read", wait)
    monkeypatch.setattr("relay.web.publish_window.PublishWindow.seconds_left", 0.01)
    code, message = await error_of(gateway.port, "history", channel="kept:a")
    assert (code, "did not answer in time" in message) == (100, True)


async def test_gateways_that_could_not_be_told_of_a_removal_are_spoken_of(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: MemoryBroker, message: Message, source: Source, receipt: Receipt, idempotency_key: None) -> bool:
        receipt(BusUnavailable("away"))
        return True

    (gateway,) = await embedded(1, api_keys=KEY, namespaces=NAMESPACES)
    monkeypatch.setattr(MemoryBroker, "publish", refuse)
    code, message = await error_of(gateway.port, "history_remove", channel="kept:a")
    assert (code, "it is removed, but gateways" in message) == (100, True)


async def test_what_a_store_says_is_told(embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: HistoryStore, channel: str) -> None:
        raise HistoryError("Redis refuses or fails: NOPERM")

    (gateway,) = await embedded(1, api_keys=KEY, namespaces=NAMESPACES)
    monkeypatch.setattr(MemoryHistoryStore, "remove", fail)
    code, message = await error_of(gateway.port, "history_remove", channel="kept:a")
    assert (code, "NOPERM" in message) == (100, True)
