"""Several commands in one request."""

from __future__ import annotations

from tests.conftest import EmbeddedFactory
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected


async def test_a_batch_keeps_its_order_and_answers_each_command(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY)
    url = gateway.url
    async with connected(f"{url}/ws/a?user=ann", f"{url}/ws/b") as (ann, b):
        commands = [
            {"publish": {"channel": "a", "data": 1}},
            {"broadcast": {"channels": ["a", "b"], "data": 2}},
            {"nonsense": {}},
            {"history": {"channel": "a"}},
            {"publish": {"channel": "a a", "data": 3}},
            {"publish": {"channel": "a", "data": 4}},
            {"channels": {"pattern": "b"}},
            {"disconnect": {"user": "ann"}},
            {},
            {"publish": {"channel": "a", "data": 5}, "info": {}},
        ]
        for parallel in (False, True):
            replies = (await call(gateway.port, "batch", {"commands": commands, "parallel": parallel}))["replies"]
            kinds = "publish broadcast error error error publish channels disconnect error error"
            assert [next(iter(reply)) for reply in replies] == kinds.split()
            codes = [reply["error"]["code"] for reply in replies if "error" in reply]
            assert codes == [104, 108, 107, 107, 107]
            assert replies[1]["broadcast"] == {"responses": [{"result": {}}, {"result": {}}]}
            assert replies[6]["channels"] == {"channels": {"b": {"num_clients": 1}}}
            assert "commands[8]" in replies[8]["error"]["message"]
        assert await ann.receive(3) == ["1", "2", "4"]
        assert (await ann.ended())[0] == 3503
        assert await b.receive(2) == ["2", "2"]
    assert gateway.counters.api_requests["publish 0"] == 4
    assert gateway.counters.api_requests["batch 0"] == 2


async def test_many_publishes_in_one_batch_arrive_in_order(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY)
    async with connected(f"{gateway.url}/ws/a") as (client,):
        commands = [{"publish": {"channel": "a", "data": number}} for number in range(1000)]
        replies = (await call(gateway.port, "batch", {"commands": commands}))["replies"]
        assert replies == [{"publish": {}}] * 1000
        assert await client.receive(1000) == [str(number) for number in range(1000)]
    reply = await call(gateway.port, "batch", {"commands": [*commands, commands[0]]})
    assert reply["error"]["code"] == 107
    assert await call(gateway.port, "batch", {"commands": []}) == {"replies": []}
