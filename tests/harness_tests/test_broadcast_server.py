"""The hand-made server is honest, and speaks WebSocket as an independent client understands it."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect

from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import stays_true, wait_until
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, RawWebSocket, upgraded
from tests.harness.rough_server import BinaryServer, DeafServer, FragmentingServer, LateServer, StallingServer
from tests.harness.server_session import Pace, ServerSession


async def test_others_in_the_channel_get_a_message_and_nobody_else() -> None:
    async with (
        BroadcastServer() as server,
        upgraded(server.port, "/ws/a", 3) as (sender, *others),
        upgraded(server.port, "/ws/b", 1) as (stranger,),
    ):
        await sender.send_frame(TEXT, b"one")
        assert [await other.frame() for other in others] == [Frame(TEXT, b"one")] * 2
        await stranger.send_frame(PING, b"?")
        assert await stranger.frame() == Frame(PONG, b"?")
        assert [session.request.client for session in server.sessions] == ["", "", "", ""]
        assert (server.messages, server.published, server.deliveries.total()) == (1, {"a": 1}, 2)


async def test_an_echo_reaches_the_sender() -> None:
    async with BroadcastServer(echo=True) as server, upgraded(server.port, "/ws/a", 2) as both:
        await both[0].send_frame(BINARY, b"\x00")
        assert [await client.frame() for client in both] == [Frame(BINARY, b"\x00")] * 2


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
async def test_it_speaks_with_another_library(size: int) -> None:
    async with BroadcastServer() as server, connect(f"{server.url}/ws/a") as one, connect(f"{server.url}/ws/a") as two:
        await one.send("x" * size)
        assert await two.recv() == "x" * size
        await one.send(["a", "b", "c"])
        assert await two.recv() == "abc"
        await (await two.ping())
        await two.close(1001)
        await wait_until(lambda: [session.close_code for session in server.past] == [1001])


async def test_a_server_that_does_not_read_at_first_answers_once_it_does() -> None:
    """CPython 3.11.2 forgets a pause that is older than the first look at a socket."""

    class Shy(BroadcastServer):
        """Reads nothing until it is told to."""

        def connected(self, session: ServerSession) -> None:
            super().connected(session)
            session.stop_reading()

    async with Shy() as server, RawWebSocket(server.port) as client:
        answer = asyncio.create_task(client.upgrade("/ws/a"))
        await wait_until(lambda: server.accepted == 1)
        assert await stays_true(lambda: not server.sessions[0].request.target, 0.05)
        server.sessions[0].resume_reading()
        assert (await answer).status == 101


async def test_death_ends_everything() -> None:
    async with BroadcastServer() as server, upgraded(server.port, "/ws/a", 2) as both:
        await server.die()
        assert [await client.frames_to_the_end() for client in both] == [[], []]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_a_pace_of_one_byte_keeps_the_frames_whole_and_the_close_frame() -> None:
    async with (
        BroadcastServer(pace=Pace(1, 0.0)) as server,
        upgraded(server.port, "/ws/a", 2) as (sender, receiver),
    ):
        for text in (b"one", b"two"):
            await sender.send_frame(TEXT, text)
        assert [await receiver.frame(), await receiver.frame()] == [Frame(TEXT, b"one"), Frame(TEXT, b"two")]
        await receiver.send_frame(CLOSE, b"\x03\xe8")
        assert await receiver.frames_to_the_end() == [Frame(CLOSE, b"\x03\xe8")]


async def test_a_slow_pace_gathers_frames() -> None:
    async with (
        BroadcastServer(pace=Pace(1 << 20, 0.1)) as server,
        upgraded(server.port, "/ws/a", 2) as (sender, receiver),
    ):
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(20):
            await sender.send_frame(TEXT, b"x")
        assert [await receiver.frame() for _ in range(20)] == [Frame(TEXT, b"x")] * 20
        assert loop.time() - began >= 0.1


async def test_a_late_server_delivers_everything_in_order_that_much_later() -> None:
    async with LateServer(0.05) as server, upgraded(server.port, "/ws/a", 2) as (sender, receiver):
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(50):
            await sender.send_frame(TEXT, b"%d" % number)
        assert [(await receiver.frame()).payload for _ in range(50)] == [b"%d" % number for number in range(50)]
        assert loop.time() - began >= 0.05


async def test_a_stall_delays_one_message_and_what_comes_after_it() -> None:
    async with (
        StallingServer(at=2, seconds=0.2) as server,
        upgraded(server.port, "/ws/a", 2) as (sender, receiver),
    ):
        loop = asyncio.get_running_loop()
        moments = []
        for _ in range(3):
            began = loop.time()
            await sender.send_frame(TEXT, b"x")
            await receiver.frame()
            moments.append(loop.time() - began)
        assert min(moments) < 0.2 <= moments[1]


async def test_fragments_come_with_pings_between_them() -> None:
    async with FragmentingServer() as server, upgraded(server.port, "/ws/a", 2) as (sender, receiver):
        await sender.send_frame(TEXT, b"abcdefgh")
        await sender.send_frame(TEXT, b"ijkl")
        frames = [await receiver.frame() for _ in range(10)]
        assert [(frame.opcode, frame.fin) for frame in frames] == [
            *((TEXT, False), (PING, True), (CONTINUATION, False), (PING, True), (CONTINUATION, True)),
            *((TEXT, False), (PING, True), (CONTINUATION, False), (PING, True), (CONTINUATION, True)),
        ]
        assert b"".join(frame.payload for frame in frames if frame.opcode != PING) == b"abcdefghijkl"
        for frame in [frame for frame in frames if frame.opcode == PING]:
            await receiver.send_frame(PONG, frame.payload)
        await wait_until(lambda: server.pongs == server.pings == [b"", b"1", b"02", b"003"])


async def test_a_deaf_server_reads_no_more_and_still_writes() -> None:
    async with (
        DeafServer(after=2, receive_buffer=4096) as server,
        upgraded(server.port, "/ws/a", 3) as (one, two, three),
    ):
        for text in (b"1", b"2"):
            await one.send_frame(TEXT, text)
            assert (await two.frame()).payload == text
        burst = asyncio.create_task(one.send(bytes(20_000_000)))
        assert await stays_true(lambda: not burst.done(), 0.2)
        await two.send_frame(TEXT, b"3")
        assert (await one.frame()).payload == b"3"
        assert [(await three.frame()).payload for _ in range(3)] == [b"1", b"2", b"3"]
        burst.cancel()
        await asyncio.gather(burst, return_exceptions=True)
        assert server.messages == 3


async def test_a_binary_server_changes_the_kind_only() -> None:
    async with BinaryServer() as server, upgraded(server.port, "/ws/a", 2) as (sender, receiver):
        await sender.send_frame(TEXT, b"x")
        assert await receiver.frame() == Frame(BINARY, b"x")
