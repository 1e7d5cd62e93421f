"""Whatever clients of several channels ask for and however little their sockets take: each gets all of it, in order."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from relay import Gateway, Settings, protocols
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.fan_out.ways import Way
from relay.hub import MESSAGE_OVERHEAD_BYTES
from tests.clients.multiplexed_pair import joined, one_tick, publish, say
from tests.clients.test_multiplexed_directly import message, narrow, said_to
from tests.clients.test_multiplexed_directly import way as way
from tests.harness.examples import examples
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket
from tests.protocols.multiplexed import frame

pytestmark = pytest.mark.usefixtures("short_close_timeout")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")


CHANNELS = "abc"

SIZES = (0, 3_000, 240_000)

steps = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "publish", "answer", "hold", "reply", "switch", "ping", "tick", "read"]),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=40,
)


class Reader:
    """One client, both ends, and in which order it has to get what.

    Args:
        client: its end.
        connection: the gateway's.

    Attributes:
        expected: what it gets at least in this order: each an answer, or what a flush had for it, by channel.
        held: the same of what it gets behind the next reply; None: nothing is held.
    """

    def __init__(self, client: RawWebSocket, connection: MultiplexedWebSocket) -> None:
        self.client, self.connection = client, connection
        self.channels: set[str] = set()
        self.expected: list[list[list[object]]] = []
        self.held: list[list[list[object]]] | None = None
        self._got: list[object] = []

    def expect(self, *values: list[object]) -> None:
        """Note what comes behind everything else: in any order, but each list in its own."""
        (self.expected if self.held is None else self.held).append([list(value) for value in values])

    async def read(self) -> None:
        """Read everything that must have been written."""
        due = sum(len(values) for group in self.expected for values in group)
        self._got += await said_to(self.client, due - len(self._got))

    async def read_all(self) -> None:
        """Read everything, and find it in order."""
        for group in self.expected:
            while any(group):
                value = self._got.pop(0) if self._got else (await said_to(self.client, 1))[0]
                places = [place for place, values in enumerate(group) if values and values[0] == value]
                assert places, (value, group)
                group[places[0]].pop(0)
        assert self._got == []


class Play:
    """What happens to clients, one step after the other.

    Args:
        gateway: theirs.
        readers: the clients.
    """

    def __init__(self, gateway: Gateway, readers: list[Reader]) -> None:
        self._node = parts_of(gateway).context.node
        self._readers = readers
        self._batches: dict[str, list[object]] = {name: [] for name in CHANNELS}
        self._number = 0

    async def do(self, act: str, which: int, detail: int) -> None:
        """Let something happen."""
        self._number += 1
        reader, channel = self._readers[which], CHANNELS[detail]
        connection, number = reader.connection, self._number
        if act == "publish":
            data = [number, "x" * SIZES[which]]
            if any(channel in other.channels for other in self._readers):
                self._batches[channel].append(message(channel, data))
            publish(self._node, [channel], json.dumps(data).encode())
            if sum(SIZES[which] + MESSAGE_OVERHEAD_BYTES for _ in self._batches[channel]) > 200_000:
                await self.tick()  # before the batch is full, and delivered at once
        elif act == "answer":
            reader.expect([{"id": number}])
            connection.send(frame({"id": number}))
        elif act == "hold" and reader.held is None:
            await self.tick()  # what was gathered before would be held, too
            reader.held = []
            connection.hold_deliveries()
        elif act == "reply":
            answer = {"id": number, "long": "x" * SIZES[detail] * 3}
            held, reader.held = reader.held or [], None
            reader.expect([answer])
            reader.expected += held
            connection.reply(frame(answer))
        elif act == "switch":
            reader.expect([{"id": number, "ok": True}])
            reader.channels ^= {channel}
            if not any(channel in other.channels for other in self._readers):
                self._batches[channel] = []
            say(connection, id=number, **{"subscribe" if channel in reader.channels else "unsubscribe": channel})
        elif act == "ping" and connection._held is None:
            if reader.held is None:
                reader.expect([{}])
            else:
                reader.expected.append([[{}]])
            connection.ping()
        elif act == "tick":
            await self.tick()
        elif act == "read":
            await self.tick()  # which it is, to wait for something
            await reader.read()

    async def tick(self) -> None:
        """Let everything go out that can."""
        for reader in self._readers:
            values = [batch for name, batch in self._batches.items() if name in reader.channels and batch]
            if values:
                reader.expect(*values)
        self._batches = {name: [] for name in CHANNELS}
        await one_tick()

    async def end(self) -> None:
        """Let each client have everything."""
        for which, reader in enumerate(self._readers):
            if reader.held is not None:
                await self.do("reply", which, 0)
        await self.tick()
        for reader in self._readers:
            await reader.read_all()


@asynccontextmanager
async def three_readers(gateway: Gateway) -> AsyncIterator[list[Reader]]:
    """Connect three clients: the sockets of two take little at once, and so does the other end of one of them."""
    async with AsyncExitStack() as stack:
        readers = [Reader(*await stack.enter_async_context(joined(gateway))) for _ in range(3)]
        for reader in readers[:2]:
            narrow(reader.connection)
        readers[0].client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        yield readers


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """Runs what a test has, on each event loop."""
    new_loop: Callable[[], asyncio.AbstractEventLoop] = request.param
    with asyncio.Runner(loop_factory=new_loop) as runner:
        yield runner


def test_each_gets_everything_once_and_in_order_whatever_its_socket_takes(runner: asyncio.Runner, way: Way) -> None:
    async def play(script: list[tuple[str, int, int]]) -> None:
        settings = Settings(port=0, drain_seconds=0, ping_interval=3600, fanout=way, send_buffer_bytes=100_000_000)
        async with Gateway(settings) as gateway, three_readers(gateway) as readers:
            scene = Play(gateway, readers)
            for which in range(3):
                for channel in range(3):
                    await scene.do("switch", which, channel)
            for act, which, detail in script:
                await scene.do(act, which, detail)
            await scene.end()

    @examples(20)
    @given(steps)
    def check(script: list[tuple[str, int, int]]) -> None:
        runner.run(play(script))

    check()
