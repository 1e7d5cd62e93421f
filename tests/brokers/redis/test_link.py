"""One connection to Redis: what goes out, what comes in, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import hiredis
import pytest

from relay.brokers.redis.link import HIGH_WATER_BYTES, LOW_WATER_BYTES, Link, LinkClosed, Replies, pack
from tests.harness.redis_server import RedisServer


class HandTransport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.limits: tuple[int | None, int | None] = (None, None)
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (high, low)

    def abort(self) -> None:
        self.aborted = True


class Owner:
    """Keeps the replies of a link, each chunk's in a list of its own."""

    def __init__(self) -> None:
        self.chunks: list[list[Any]] = []
        self.writable: list[bool] = []

    def replies_received(self, replies: Replies) -> None:
        self.chunks.append(list(iter(replies, False)))

    def link_writable(self, writable: bool) -> None:
        self.writable.append(writable)


def connect() -> tuple[Link, HandTransport]:
    """Return a link, and the transport under it."""
    link, transport = Link(), HandTransport()
    link.connection_made(transport)
    return link, transport


def call(link: Link, *command: str) -> asyncio.Task[Any]:
    """Begin a call."""
    return asyncio.ensure_future(link.call(*command))


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_a_call_returns_its_reply_in_whatever_pieces_it_comes(size: int) -> None:
    link, transport = connect()
    for reply, value in ((b"+OK\r\n", b"OK"), (b"*2\r\n$1\r\na\r\n:7\r\n", [b"a", 7]), (b"$-1\r\n", None)):
        transport.written = b""
        answer = call(link, "HELLO", "x")
        await asyncio.sleep(0)
        assert transport.written == pack("HELLO", "x") == b"*2\r\n$5\r\nHELLO\r\n$1\r\nx\r\n"
        for start in range(0, len(reply), size):
            assert not answer.done()
            link.data_received(reply[start : start + size])
        assert await answer == value
    assert not link.closed.done()


async def test_a_call_raises_the_error_that_redis_answers() -> None:
    link, _ = connect()
    answer = call(link, "AUTH", "x")
    await asyncio.sleep(0)
    link.data_received(b"-WRONGPASS no\r\n")
    with pytest.raises(hiredis.ReplyError, match="WRONGPASS no"):
        await answer
    assert not link.closed.done(), "what it means is up to the log-in"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "closed by Redis"),
        (ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)), "connection lost: Connection reset"),
        (RuntimeError("odd"), "connection lost: odd"),
    ],
)
async def test_a_lost_connection_ends_the_call_and_says_why(error: Exception | None, reason: str) -> None:
    link, transport = connect()
    answer = call(link, "PING")
    await asyncio.sleep(0)
    link.connection_lost(error)
    with pytest.raises(LinkClosed, match=reason):
        await answer
    assert link.closed.result().startswith(reason)
    assert "Errno" not in link.closed.result()
    written = transport.written
    link.write(b"too late")
    assert transport.written == written


async def test_the_first_reason_counts_and_an_aborted_link_writes_no_more() -> None:
    link, transport = connect()
    link.abort("silent for 3 s")
    link.abort("stopped")
    link.write(b"too late")
    link.connection_lost(None)
    assert link.closed.result() == "silent for 3 s"
    assert transport.aborted
    assert transport.written == b""


async def test_a_call_that_is_cancelled_leaves_no_place_for_its_reply() -> None:
    link, _ = connect()
    answer = call(link, "PING")
    await asyncio.sleep(0)
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    link.data_received(b"+PONG\r\n")
    assert link.closed.result() == "Redis says, unasked: b'PONG'"


async def test_what_redis_says_unasked_is_the_reason_of_the_end() -> None:
    """It does so before it closes, as with too many clients."""
    link, transport = connect()
    link.data_received(b"-ERR max number of clients reached\r\n")
    assert link.closed.result() == "Redis says, unasked: ERR max number of clients reached"
    assert transport.aborted


async def test_the_owner_gets_all_whole_replies_of_a_chunk_in_one_call() -> None:
    link, _ = connect()
    owner = link.owner = Owner()
    link.data_received(b":1\r\n+OK\r\n-ERR x\r\n$3\r\nab")
    link.data_received(b"c\r\n")
    first, second = owner.chunks
    assert first[:2] == [1, b"OK"]
    assert isinstance(first[2], hiredis.ReplyError)
    assert second == [b"abc"]


@pytest.mark.parametrize("owned", [True, False])
async def test_bytes_that_are_no_redis_end_the_link(owned: bool) -> None:
    link, transport = connect()
    link.owner = Owner() if owned else None
    link.data_received(b"HTTP/1.1 400 Bad Request\r\n")
    assert link.closed.result().startswith("protocol error: ")
    assert transport.aborted


async def test_bytes_are_the_sign_that_it_is_heard() -> None:
    link, _ = connect()
    link.heard_at = 0.0
    link.data_received(b"$100\r\n")
    assert link.heard_at > 0.0


@pytest.mark.parametrize("owned", [True, False])
async def test_a_full_socket_is_told_to_the_owner(owned: bool) -> None:
    link, transport = connect()
    assert transport.limits == (HIGH_WATER_BYTES, LOW_WATER_BYTES)
    owner = Owner()
    link.owner = owner if owned else None
    assert link.writable
    link.pause_writing()
    assert not link.writable
    link.resume_writing()
    assert link.writable
    assert owner.writable == ([False, True] if owned else [])


async def test_a_link_that_never_was_connected_can_be_dropped() -> None:
    link = Link()
    link.write(b"nowhere")
    link.abort("not connected")
    assert link.closed.result() == "not connected"


async def test_it_speaks_with_a_real_redis_until_that_closes(own_redis: RedisServer) -> None:
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(Link, "127.0.0.1", own_redis.port)
    assert await link.call("ECHO", "a b") == b"a b"
    with pytest.raises(hiredis.ReplyError, match="unknown command"):
        await link.call("NO-SUCH-COMMAND")
    answer = call(link, "BLPOP", "nothing", "0")
    await asyncio.sleep(0)
    own_redis.kill()
    with pytest.raises(LinkClosed):
        await answer
    assert link.closed.result() in ("closed by Redis", "connection lost: Connection reset by peer")
