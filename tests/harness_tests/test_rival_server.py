"""The servers that stand in for other projects' are as strict as those, and gather and ping as those do."""

from __future__ import annotations

import json

from tests.harness.conditions import wait_until
from tests.harness.raw_websocket import TEXT, Frame, RawWebSocket, upgraded
from tests.harness.rival_server import CentrifugoLike, SocketIoLike


async def say(client: RawWebSocket, *lines: str) -> None:
    await client.send_frame(TEXT, "\n".join(lines).encode())


async def test_centrifugo_gathers_replies_pushes_and_pings_and_sends_to_the_sender() -> None:
    async with CentrifugoLike() as server, upgraded(server.port, server.TARGET, 1) as (client,):
        await say(client, '{"id":1,"connect":{}}', '{"id":2,"subscribe":{"channel":"a"}}')
        lines = (await client.frame()).payload.decode().split("\n")
        assert [next(iter(json.loads(line).keys()), None) for line in lines] == ["id", None, "id"]
        await say(client, "{}", '{"id":3,"publish":{"channel":"a","data":"x"}}')
        assert (await client.frame()).payload == (b'{"push":{"channel":"a","pub":{"data":"x"}}}\n{"id":3,"publish":{}}')
        assert (server.answered.total(), server.deliveries.total()) == (1, 1)


async def test_centrifugo_closes_who_does_not_answer_its_pings() -> None:
    async with CentrifugoLike(patience=0.1) as server, upgraded(server.port, server.TARGET, 1) as (client,):
        await say(client, '{"id":1,"connect":{}}')
        assert await client.close_frame() == (3012, "no pong")


async def test_centrifugo_closes_who_talks_nonsense() -> None:
    async with CentrifugoLike() as server, upgraded(server.port, server.TARGET, 3) as clients:
        for client, line in zip(clients, ("nonsense", '{"id":1,"subscribe":{"channel":"a"}}', "[]"), strict=True):
            await say(client, line)
            assert await client.close_frame() == (3501, "bad request")


async def test_rivals_know_one_address() -> None:
    async with CentrifugoLike() as server, RawWebSocket(server.port) as client:
        assert (await client.upgrade("/ws/a")).status == 404


async def test_socket_io_wants_its_packets_in_order() -> None:
    async with SocketIoLike() as server, upgraded(server.port, server.TARGET, 3) as (one, two, hasty):
        for client in (one, two):
            assert (await client.frame()).payload.startswith(b'0{"sid":')
            await say(client, "40")
            assert await client.frame() == Frame(TEXT, b'40{"sid":"s"}')
            await say(client, '42["join","a"]')
            assert await client.frame() == Frame(TEXT, b'42["joined","a"]')
        await say(one, '42["publish","a","x"]')
        assert await two.frame() == Frame(TEXT, b'42["message","x"]')
        await say(hasty, '42["join","a"]')
        assert len(await hasty.frames_to_the_end()) == 1


async def test_socket_io_hangs_up_on_who_does_not_answer_its_pings() -> None:
    async with SocketIoLike(patience=1.0) as server, upgraded(server.port, server.TARGET, 2) as (lively, silent):
        for client in (lively, silent):
            await client.frame()
            await say(client, "40")
            await client.frame()
        assert await lively.frame() == Frame(TEXT, b"2")
        await say(lively, "3")
        assert [frame.payload for frame in await silent.frames_to_the_end()] == [b"2"]
        assert await lively.frame() == Frame(TEXT, b"2")
        await wait_until(lambda: server.answered.total() == 1)
