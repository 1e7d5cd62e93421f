"""The pipe between two processes."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay.workers.messages import Drain, StartFailed
from relay.workers.pipe import Pipe, encode, receive_blocking


async def test_messages_arrive_whole_and_in_order() -> None:
    ours, theirs = socket.socketpair()
    near, far = await Pipe.open(ours), await Pipe.open(theirs)
    long = StartFailed("x" * 300_000)
    near.send(Drain())
    near.send(long)
    far.send(Drain())
    assert [await far.receive(), await far.receive(), await near.receive()] == [Drain(), long, Drain()]
    await near.close()
    assert await far.receive() is None
    far.send(long)
    await far.close()
    far.send(long)


async def test_a_process_that_ends_in_the_middle_of_a_message_is_gone() -> None:
    ours, theirs = socket.socketpair()
    pipe = await Pipe.open(ours)
    theirs.sendall(encode(Drain())[:-1])
    theirs.close()
    assert await pipe.receive() is None
    await pipe.close()


async def test_the_first_message_is_read_without_an_event_loop() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(encode(StartFailed("x" * 10_000)) + encode(Drain())[:3])
        assert await asyncio.to_thread(receive_blocking, theirs) == StartFailed("x" * 10_000)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            receive_blocking(theirs)
