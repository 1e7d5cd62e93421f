"""Whatever a server does wrong to connections shows: who was refused, closed or fed nonsense, and what it missed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import wait_until
from tests.harness.faulty_server import FaultyServer, HangingUpServer, InsertingServer, RefusingServer
from tests.harness.load_test import LoadTest
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame
from tests.harness.server_session import ServerSession
from tests.honesty.trial import SMALL, Tried, against, counts

frame = partial(encode_frame, masked=False)


def saying(data: bytes) -> Callable[[ServerSession], None]:
    """Return what sends some bytes to a session."""
    return lambda session: session.write(data)


HANG_UPS: dict[str, Callable[[ServerSession], None]] = {
    "0": lambda session: session.close(1011, "oops"),
    "1": lambda session: session.close(1001),
    "2": ServerSession.end,
    "3": ServerSession.reset_soon,
    "4": ServerSession.close,
}


@against(partial(HangingUpServer, 50, HANG_UPS), "--clients", "6")
def test_clients_that_are_hung_up_on_are_counted_and_miss_the_rest(tried: Tried[FaultyServer]) -> None:
    """Missed, not lost: as long as they are away they can't get anything. The sixth gets everything."""
    faults, step, server = tried.faults, tried.step, tried.server
    ends = ("1011 oops", "1001", "closed without a close frame", "reset", "1005")
    assert (tried.code, faults.closed) == (1, dict.fromkeys(ends, 1))
    assert (step.offered, step.expected, server.messages) == (200, 1200, 200)
    assert step.delivered == server.deliveries.total() == 5 * 50 + 200
    assert counts(faults) == {"missed": 5 * 150}
    assert any("ended by the server" in sentence for sentence in tried.result.verdict)


@against(partial(HangingUpServer, 50, {"2": ServerSession.reset_soon, "3": ServerSession.end}), "--reconnect")
def test_clients_that_are_told_to_come_back_do_and_that_is_no_fault(tried: Tried[FaultyServer]) -> None:
    """What they missed meanwhile is told exactly; what they heard before and after is checked as ever."""
    faults, step, server = tried.faults, tried.step, tried.server
    assert (tried.code, faults.closed) == (0, {})
    assert faults.returned == {"reset": 1, "closed without a close frame": 1}
    assert (server.accepted, tried.result.connects.made, tried.result.connects.sessions) == (7, 5, 7)
    missed = 800 - server.deliveries.total()
    assert 0 < missed < 300
    assert (counts(faults), step.delivered) == ({"missed": missed}, 800 - missed)


@against(partial(HangingUpServer, 50, {"4": ServerSession.end}), "--publishers", "2", "--rate", "300")
def test_what_a_publisher_that_is_hung_up_on_can_not_send_is_unsent(tried: Tried[FaultyServer]) -> None:
    """Clients 4 and 5 publish, and hear each other. All that was due is accounted for."""
    faults, step, server = tried.faults, tried.step, tried.server
    assert (tried.code, list(faults.closed.values())) == (1, [1])
    assert set(faults.closed) < {"closed without a close frame", "reset"}  # a message may have been on its way
    assert (step.offered, step.delivered) == (300, server.deliveries.total())
    assert faults.unsent > 0
    swallowed = 300 - faults.unsent - server.messages
    # The client that was hung up on misses what the other publisher has sent since.
    assert (faults.lost, faults.missed) == (5 * swallowed, 150 - 50)


NONSENSE = {
    "masked": encode_frame(TEXT, b"masked"),
    "masked, and longer": encode_frame(TEXT, b"masked" * 100),
    "gigantic": bytes([0x82, 127]) + (1 << 62).to_bytes(8, "big"),
    "negative length": bytes([0x82, 127]) + b"\xff" * 8,
    "reserved bit": frame(TEXT, b"compressed?", reserved=4),
    "reserved opcode": frame(3, b"what?"),
    "reserved control opcode": frame(11, b"what?"),
    "fragmented ping": frame(PING, b"half", fin=False),
    "long ping": frame(PING, b"x" * 126),
    "end of nothing": frame(CONTINUATION, b"of what?"),
    "message within a message": frame(BINARY, b"one", fin=False) + frame(BINARY, b"two"),
    "half a close code": frame(CLOSE, b"\x03"),
}
FED = {str(number): saying(data) for number, data in enumerate(NONSENSE.values())}


@against(partial(HangingUpServer, 50, FED), "--clients", str(len(FED) + 1))
def test_nonsense_ends_the_connection_and_is_counted(tried: Tried[FaultyServer]) -> None:
    """Each client but the last one gets some other nonsense after its 50th message."""
    faults, closed = tried.faults, tried.faults.closed
    assert (tried.code, sum(closed.values())) == (1, len(NONSENSE))
    assert [cause for cause in closed if not cause.startswith("protocol error: ")] == []
    assert tried.step.delivered == 50 * len(NONSENSE) + 200
    assert counts(faults) == {"missed": 150 * len(NONSENSE)}


@against(partial(InsertingServer, 10, frame(PONG, b"unasked")))
def test_a_pong_that_nobody_asked_for_is_nothing(tried: Tried[FaultyServer]) -> None:
    assert (tried.code, counts(tried.faults)) == (0, {})


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
ANSWERS = {
    "0": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "1": b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n",
    "2": SWITCHING + b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    "3": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "4": b"",
    "5": b"x" * 100_000,
    "6": None,
}


@against(partial(RefusingServer, ANSWERS), "--clients", "9", "--connect-timeout", "1s")
def test_refusals_are_counted_by_their_cause_and_the_others_go_on(tried: Tried[FaultyServer]) -> None:
    faults, step, connects = tried.faults, tried.step, tried.result.connects
    assert (tried.code, len(tried.server.faults)) == (1, 7)
    assert faults.refused == {
        "HTTP 503": 2,
        "wrong Sec-WebSocket-Accept": 1,
        "not an HTTP answer": 1,
        "closed in the handshake": 1,
        "endless answer to the handshake": 1,
        "timeout": 1,
    }
    assert (connects.wanted, connects.made, connects.sessions) == (10, 3, 3)
    assert step.delivered == tried.server.deliveries.total() == 2 * 200
    assert (counts(faults), faults.closed) == ({"missed": 7 * 200}, {})
    assert any("could not be made" in sentence for sentence in tried.result.verdict)


async def test_a_server_that_dies_is_noticed_by_everybody() -> None:
    async with BroadcastServer() as server, LoadTest(server.url, *SMALL, "--duration", "2s") as load_test:
        await wait_until(lambda: server.messages > 100, within=20.0, what=lambda: f"{server.messages} messages")
        await server.die()
        outcome = await load_test.ended()
    faults, (step,) = outcome.result.faults, outcome.result.steps
    assert (outcome.code, sum(faults.closed.values())) == (1, 5)
    assert not outcome.result.interrupted
    assert (step.offered, faults.unsent > 0, faults.lost) == (400, True, 0)
    assert step.delivered + faults.missed == 4 * (400 - faults.unsent)
    assert "Traceback" not in outcome.output + outcome.errors
