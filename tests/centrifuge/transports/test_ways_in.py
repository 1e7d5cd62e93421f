"""Streams through TLS and proxies, and in Protobuf."""

from __future__ import annotations

import asyncio

import pytest
from centrifuge.protocol import client_pb2
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]

from tests.centrifuge.transports.stream_client import StreamClient, emulate
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.inside import parts_of
from tests.harness.proxy_headers import proxy_header
from tests.harness.server_api import request

OCTETS = "Content-Type: application/octet-stream"


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_with_tls(gateways: GatewayFactory, certificate_authority: CertificateAuthority, event_loop: str) -> None:
    (gateway,) = await gateways(1, authority=certificate_authority, event_loop=event_loop)
    async with (
        StreamClient.http_stream(gateway.port) as one,
        StreamClient.sse(gateway.port) as other,
        StreamClient.uni_sse(gateway.port) as third,
    ):
        await third.until(lambda said: "connect" in said)
        for client in (one, other):
            assert (await client.ask(subscribe={"channel": "a"}))["subscribe"] == {}
        await one.ask(publish={"channel": "a", "data": "x" * 30_000})
        for client in (one, other):
            assert await client.publications(1) == ["x" * 30_000]


async def test_behind_a_trusted_proxy(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, trusted_proxies="127.0.0.1", max_connections_per_address=1)
    asked = request("/connection/http_stream", b'{"id":1,"connect":{}}')
    for number in (1, 2):
        for given in (
            proxy_header(f"192.0.2.{number}") + asked,
            asked.replace(b"Host:", b"X-Forwarded-For: 192.0.3.%d\r\nHost:" % number),
        ):
            first, second = StreamClient(gateway.port, given), StreamClient(gateway.port, given)
            async with first, second:
                await first.reply(1)
                assert second.head.status == 429


def framed(message: client_pb2.Command) -> bytes:
    """Return a command behind its length."""
    encoded: bytes = message.SerializeToString()
    return bytes(_VarintBytes(len(encoded))) + encoded


class ProtobufStream:
    """A client of the stream in Protobuf, by the messages of an official client."""

    def __init__(self, reader: asyncio.StreamReader, port: int) -> None:
        self._reader = reader
        self._port = port
        self._rest = b""
        self.connected = client_pb2.ConnectResult()

    async def reply(self) -> client_pb2.Reply:
        """Return the next reply."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if self._rest:
                    size, at = _DecodeVarint32(self._rest + b"\0", 0)
                    if len(self._rest) >= at + size:
                        encoded, self._rest = self._rest[at : at + size], self._rest[at + size :]
                        return client_pb2.Reply.FromString(encoded)
                chunk = await self._reader.read(65536)
                if not chunk:
                    raise EOFError
                self._rest += chunk

    async def say(self, *said: client_pb2.Command) -> int:
        """Say something by a request of its own."""
        asked = client_pb2.EmulationRequest(
            node=self.connected.node, session=self.connected.session, data=b"".join(map(framed, said))
        )
        return (await emulate(self._port, asked.SerializeToString(), OCTETS)).status


async def test_in_protobuf(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, ping_interval=0.5, ping_timeout=0.4)
    connect = client_pb2.Command(id=1, connect=client_pb2.ConnectRequest())
    subscribe = client_pb2.Command(id=2, subscribe=client_pb2.SubscribeRequest(channel="a"))
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request("/connection/http_stream", framed(connect) + framed(subscribe), OCTETS))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Content-Type: application/octet-stream\r\n" in head
    client = ProtobufStream(reader, gateway.port)
    reply = await client.reply()
    client.connected = reply.connect
    assert (reply.id, reply.connect.pong, len(reply.connect.node)) == (1, True, 16)
    assert (await client.reply()).id == 2
    publish = client_pb2.PublishRequest(channel="a", data=b"\xff\0\n")
    assert await client.say(client_pb2.Command(id=3, publish=publish)) == 204
    replies = [await client.reply(), await client.reply()]
    assert {reply.id for reply in replies} == {0, 3}
    (push,) = [reply.push for reply in replies if not reply.id]
    assert (push.channel, push.pub.data) == ("a", b"\xff\0\n")
    for _ in range(3):
        assert await client.reply() == client_pb2.Reply()
        assert await client.say(client_pb2.Command()) == 204
    assert (
        await emulate(
            gateway.port,
            b'{"session":"%b","node":"%b","data":"x"}'
            % (client.connected.session.encode(), client.connected.node.encode()),
        )
    ).status == 204
    last = await client.reply()
    while last == client_pb2.Reply():
        last = await client.reply()
    assert (last.push.disconnect.code, last.push.disconnect.reason) == (3501, "bad request")
    with pytest.raises(EOFError):
        await client.reply()
    writer.transport.abort()
    assert len(parts_of(gateway).context.emulated_streams) == 0
