"""Tests of the application, with a relay inside: no Redis, no other process.

pip install pytest pytest-asyncio httpx
pytest -o asyncio_mode=auto
"""

import json
from collections.abc import AsyncIterator

import app as application
import pytest_asyncio
from httpx import ASGITransport, AsyncClient

from relay import Client, Gateway, Settings
from relay.errors import BusUnavailable


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[Gateway]:
    settings = Settings(broker_url="memory://", port=0, auth="none", drain_seconds=0)
    async with Gateway(settings) as gateway:
        application.app.state.relay = gateway  # publishes as an AsyncPublisher does
        yield gateway


@pytest_asyncio.fixture
async def ann() -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(application.app), base_url="http://localhost:8080") as browser:
        await browser.post("/login", json={"name": "ann"})
        yield browser


async def test_open_pages_are_told_of_a_new_task(relay: Gateway, ann: AsyncClient) -> None:
    async with Client(relay.url) as client, client.subscribe("tasks:1") as page:
        task = (await ann.post("/tasks", json={"text": "buy tea"})).json()
        message = await anext(page)
        assert json.loads(message.data) == {"type": "task", "task": task}


class NoRedis:
    """What an AsyncPublisher is while Redis is away."""

    async def publish(self, channel: str, data: str) -> int:
        raise BusUnavailable("Redis is away")


async def test_a_task_counts_even_if_nobody_can_be_told(ann: AsyncClient) -> None:
    application.app.state.relay = NoRedis()
    assert (await ann.post("/tasks", json={"text": "water the plants"})).status_code == 200
