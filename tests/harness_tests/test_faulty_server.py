"""Each faulty server does its one thing wrong, exactly as often as it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.harness.conditions import wait_until
from tests.harness.faulty_server import (
    ChangedDeliveries,
    DoubledDeliveries,
    DroppedDeliveries,
    DroppedMessages,
    FaultyServer,
    HangingUpServer,
    InsertingServer,
    LeakyServer,
    RefusingServer,
    SwappedDeliveries,
    cut_short,
    flip_bit,
    make_longer,
)
from tests.harness.raw_websocket import CLOSE, PING, PONG, TEXT, Frame, RawWebSocket, close_of, encode_frame, upgraded
from tests.harness.server_session import ServerSession


async def heard(server: FaultyServer, count: int, receivers: int = 1) -> list[list[str]]:
    """Publish the messages "0", "1" and so on, and return what each receiver has got of them."""
    async with upgraded(server.port, "/ws/a?client=1", receivers + 1) as (sender, *others):
        for number in range(count):
            await sender.send_frame(TEXT, b"%d" % number)
        await wait_until(lambda: server.messages == count)
        return [await payloads_until_pong(other) for other in others]


async def payloads_until_pong(client: RawWebSocket) -> list[str]:
    """Return all that the server has sent so far."""
    await client.send_frame(PING)
    payloads = []
    while (frame := await client.frame()).opcode != PONG:
        payloads.append(frame.payload.decode())
    return payloads


async def test_dropped_messages_reach_nobody() -> None:
    async with DroppedMessages(3) as server:
        assert await heard(server, 7, receivers=2) == [["0", "1", "3", "4", "6"]] * 2
        assert [number for _, number in server.faults] == [2, 2, 5, 5]


async def test_dropped_deliveries_miss_one_receiver() -> None:
    async with DroppedDeliveries(3) as server:
        assert await heard(server, 3, receivers=2) == [["0", "2"], ["0", "1"]]
        assert [number for _, number in server.faults] == [1, 2]


async def test_doubled_deliveries_come_twice() -> None:
    async with DoubledDeliveries(2) as server:
        assert await heard(server, 5) == [["0", "1", "1", "2", "3", "3", "4"]]
        assert len(server.faults) == 2


async def test_doubled_deliveries_may_come_later() -> None:
    async with DoubledDeliveries(2, later=0.05) as server, upgraded(server.port, "/ws/a", 2) as (sender, receiver):
        for number in range(3):
            await sender.send_frame(TEXT, b"%d" % number)
        assert [(await receiver.frame()).payload for _ in range(4)] == [b"0", b"1", b"2", b"1"]


async def test_swapped_deliveries_come_after_the_next_one() -> None:
    async with SwappedDeliveries(3) as server:
        assert await heard(server, 8) == [["0", "1", "3", "2", "4", "5", "7", "6"]]
        assert [number for _, number in server.faults] == [2, 6]


async def test_a_last_delivery_is_not_swapped_but_late() -> None:
    async with SwappedDeliveries(2) as server, upgraded(server.port, "/ws/a", 2) as (sender, receiver):
        for number in range(2):
            await sender.send_frame(TEXT, b"%d" % number)
        assert [(await receiver.frame()).payload for _ in range(2)] == [b"0", b"1"]
        assert len(server.faults) == 0


@pytest.mark.parametrize(
    ("change", "changed"),
    [(flip_bit, ["`bc", "acc", "abb"]), (cut_short, ["ab", "a", "ab"]), (make_longer, ["abcc", "abccc", "abcccc"])],
)
def test_a_change_depends_on_its_number(change: Callable[[bytes, int], bytes], changed: list[str]) -> None:
    assert [change(b"abc", count).decode() for count in range(3)] == changed


async def test_changed_deliveries_are_counted() -> None:
    async with ChangedDeliveries(2, flip_bit) as server:
        assert await heard(server, 4) == [["0", "0", "2", "2"]]
        assert len(server.faults) == 2


async def test_a_leak_reaches_other_channels() -> None:
    async with LeakyServer(2) as server, upgraded(server.port, "/ws/b", 1) as (stranger,):
        assert await heard(server, 4) == [["0", "1", "2", "3"]]
        assert await payloads_until_pong(stranger) == ["1", "3"]
        assert len(server.faults) == 2


async def test_inserted_bytes_follow_a_delivery() -> None:
    frames = [encode_frame(TEXT, text, masked=False) for text in (b"x", b"y")]
    async with InsertingServer(2, *frames) as server:
        assert await heard(server, 5) == [["0", "1", "x", "2", "3", "y", "4"]]
        assert len(server.faults) == 2


@pytest.mark.parametrize(
    ("hang_up", "frames"),
    [
        (lambda session: session.close(1011, "oops"), [Frame(CLOSE, b"\x03\xf3oops")]),
        (ServerSession.end, []),
        (ServerSession.reset, []),
    ],
)
async def test_a_client_is_hung_up_on_once(hang_up: Callable[[ServerSession], None], frames: list[Frame]) -> None:
    async with (
        HangingUpServer(2, {"2": hang_up}) as server,
        upgraded(server.port, "/ws/a?client=1", 2) as (sender, other),
    ):
        for _ in range(2):
            async with upgraded(server.port, "/ws/a?client=2", 1) as (victim,):
                for number in range(3):
                    await sender.send_frame(TEXT, b"%d" % number)
                    assert (await other.frame()).payload == b"%d" % number
                if len(server.faults) == 1 and server.messages == 3:
                    assert [await victim.frame(), await victim.frame()] == [Frame(TEXT, b"0"), Frame(TEXT, b"1")]
                    assert await victim.frames_to_the_end() == frames
                else:
                    assert await payloads_until_pong(victim) == ["0", "1", "2"]
        assert len(server.faults) == 1


async def test_a_refusal_is_an_answer_of_any_kind_or_none() -> None:
    unavailable = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    async with (
        RefusingServer({"1": unavailable, "2": None, "3": b""}) as server,
        RawWebSocket(server.port) as refused,
        RawWebSocket(server.port) as left_alone,
        RawWebSocket(server.port) as closed,
        upgraded(server.port, "/ws/a?client=4", 1),
    ):
        assert (await refused.upgrade("/ws/a?client=1")).status == 503
        with pytest.raises(TimeoutError):
            await left_alone.upgrade("/ws/a?client=2", within=0.2)
        with pytest.raises(EOFError):
            await closed.upgrade("/ws/a?client=3")
        assert ([session.request.client for session, _ in server.faults], server.accepted) == (["1", "2", "3"], 4)
        await wait_until(lambda: len(server.sessions) == 2)


async def test_a_close_frame_says_why() -> None:
    async with (
        HangingUpServer(1, {"1": lambda session: session.close(1011, "oops")}) as server,
        upgraded(server.port, "/ws/a?client=1", 2) as (sender, receiver),
    ):
        await sender.send_frame(TEXT, b"x")
        assert await receiver.frame() == Frame(TEXT, b"x")
        assert close_of(await receiver.frame()) == (1011, "oops")
        await receiver.send_frame(CLOSE, b"\x03\xf3")
        await asyncio.wait_for(receiver.end(), 5)
        assert server.past[0].close_code == 1011
