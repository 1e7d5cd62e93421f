"""What a back end may publish: rights are asked for each channel, as those of clients are."""

from __future__ import annotations

import pytest

from relay import Gateway
from relay.auth.authenticator import Identity
from relay.web.app_keys import API_KEYS
from tests.conftest import EmbeddedFactory
from tests.harness.inside import parts_of
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected

DENIED = {"code": 103, "message": "permission denied: you may not publish to this channel"}


class OnlyNews:
    """May publish to `news`, and to nothing else; may subscribe to nothing."""

    def may_subscribe(self, channel: str) -> bool:
        return False

    def may_publish(self, channel: str) -> bool:
        return channel == "news"

    def may_read_history(self, channel: str) -> bool:
        return False

    def may_see_presence(self, channel: str) -> bool:
        return False


async def start(embedded: EmbeddedFactory) -> Gateway:
    """Start a gateway whose API keys have few rights."""
    (gateway,) = await embedded(1, api_keys=KEY)
    keys = parts_of(gateway).runner.app[API_KEYS]
    assert keys is not None
    keys.identity = Identity("newsroom", OnlyNews())
    return gateway


async def test_a_message_is_published_where_the_back_end_may_publish(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with connected(f"{gateway.url}/ws/news") as (client,):
        assert await call(gateway.port, "publish", {"channel": "news", "data": 1}) == {"result": {}}
        assert await client.receive(1) == ["1"]


async def test_a_message_to_another_channel_is_denied_and_not_sent(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    assert await call(gateway.port, "publish", {"channel": "lobby", "data": 1}) == {"error": DENIED}
    assert gateway.counters.messages_published == 0
    assert gateway.counters.api_requests == {"publish 103": 1}


async def test_a_broadcast_is_denied_channel_by_channel(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with connected(f"{gateway.url}/ws/news", f"{gateway.url}/ws/lobby") as (news, lobby):
        reply = await call(gateway.port, "broadcast", {"channels": ["lobby", "news", "a b"], "data": 1})
        denied, published, malformed = reply["result"]["responses"]
        assert (denied, published) == ({"error": DENIED}, {"result": {}})
        assert malformed["error"]["code"] == 107
        assert await news.receive(1) == ["1"]
        assert await gateway.publish("lobby", "from the program") == 1
        assert await lobby.receive(1) == ["from the program"]


async def test_a_batch_is_denied_command_by_command(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    commands = [{"publish": {"channel": name, "data": 1}} for name in ("lobby", "news")]
    reply = await call(gateway.port, "batch", {"commands": commands})
    assert reply == {"replies": [{"error": DENIED}, {"publish": {}}]}
    assert gateway.counters.api_requests == {"publish 103": 1, "publish 0": 1, "batch 0": 1}


@pytest.mark.parametrize("method", ["channels", "info"])
async def test_other_methods_need_no_right_to_publish(embedded: EmbeddedFactory, method: str) -> None:
    gateway = await start(embedded)
    assert "result" in await call(gateway.port, method, {})
