"""The ways in which clients of the Centrifuge protocol connect, each with a client that is seen from its socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote

from centrifuge.protocol import client_pb2
from google.protobuf.internal.decoder import _DecodeVarint32 as read_length  # type: ignore[attr-defined]

from tests.centrifuge.oracle.wire import WIRES
from tests.centrifuge.transports.stream_client import LineParser, Parser, Said, SaidEvents, StreamClient, emulate
from tests.harness.http_response import HttpResponse
from tests.harness.raw_websocket import BINARY, CLOSE, TEXT, encode_frame
from tests.harness.server_api import request
from tests.harness.whole_frames import take_frames

OCTETS: Final = "Content-Type: application/octet-stream"


class DelimitedParser:
    """Takes Protobuf with lengths in pieces of any size; see `Parser`."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Said]:
        """Return what is complete now."""
        self._rest += chunk
        end = 0
        while end < len(self._rest):
            # Of a length that isn't complete nothing can be read; the zero ends it.
            size, place = read_length(self._rest[end:] + b"\0", 0)
            if len(self._rest) - end < place + size:
                break
            end += place + size
        complete, self._rest = self._rest[:end], self._rest[end:]
        return WIRES["protobuf"].read(complete)


class FrameParser:
    """Takes frames of a WebSocket in pieces of any size; see `Parser`. A close frame is told like a push."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Said]:
        """Return what is complete now."""
        frames, self._rest = take_frames(self._rest + chunk)
        told: list[Said] = []
        for opcode, payload in frames:
            if opcode == TEXT:
                told += WIRES["json"].read(payload.decode())
            elif opcode == BINARY:
                told += WIRES["protobuf"].read(payload)
            elif opcode == CLOSE:
                code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
                told.append({"disconnect": {"code": code, "reason": reason}})
        return told


class WayClient(StreamClient):
    """A client that has come in some way; arguments as for `StreamClient`, and the way."""

    way: Way

    async def until_pushed(self, kind: str) -> Said:
        """Read until a push of a kind has come, and return it."""
        told = await self.until(lambda one: kind in one.get("push", one))
        push: Said = told.get("push", told)
        return push

    async def connected(self) -> Said:
        """Read until the client is let in, and return what it was told."""
        result: Said = (await self.until(lambda one: "connect" in one))["connect"]
        return result

    async def ending(self) -> tuple[int, str]:
        """Read to the end, and return the code and the reason that were told last."""
        if self.way.websocket:  # its end waits for the client's own close frame
            last = await self.until(lambda one: "disconnect" in one)
        else:
            last = (await self.to_the_end())[-1]
        told = last.get("push", last)["disconnect"]
        return told["code"], told["reason"]

    async def say(self, *said: Said, port: int | None = None) -> HttpResponse:
        """Say something, over the socket or by a request of its own."""
        if self.way.websocket:
            await self.send(self.way.frame(*said))
            return HttpResponse(204, {}, b"")
        if self.way.format == "json":
            return await super().say(*said, port=port)
        connected, data = await self.connected(), WIRES["protobuf"].write(list(said))
        asked = client_pb2.EmulationRequest(node=connected["node"], session=connected["session"], data=data)
        return await emulate(port or self.port, asked.SerializeToString(), OCTETS)


class WayWebSocket(WayClient):
    """One that says `connect` when its handshake is done."""

    first: bytes

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self.head.status == 101:
            await self.send(self.first)
        return self


@dataclass(frozen=True)
class Way:
    """One way.

    Args:
        transport: the last part of the path.
        format: "json" or "protobuf".
    """

    transport: str
    format: str = "json"

    @property
    def name(self) -> str:
        """For reports."""
        return f"{self.transport}-{self.format}"

    @property
    def speaks(self) -> bool:
        """Whether its clients say more than `connect`."""
        return not self.transport.startswith("uni_")

    @property
    def websocket(self) -> bool:
        """Whether they have a WebSocket."""
        return self.transport.endswith("websocket")

    def frame(self, *said: Said) -> bytes:
        """Return a frame of a client."""
        written = WIRES[self.format].write(list(said))
        return encode_frame(TEXT, written.encode()) if isinstance(written, str) else encode_frame(BINARY, written)

    def client(
        self, port: int, connect: Said, *more: Said, headers: Sequence[str] = (), receive_buffer: int | None = None
    ) -> WayClient:
        """Return a client, to be entered.

        Args:
            port: where it connects.
            connect: the request of `connect`.
            more: commands behind it, where it may say some.
            headers: of its request.
            receive_buffer: see `StreamClient`.
        """
        assert self.speaks or not more
        said = [{"id": 1, "connect": connect}, *more] if self.speaks else [connect]
        made = WayWebSocket if self.websocket else WayClient
        client = made(port, self._asked(said, headers), self._parser(), receive_buffer)
        client.way = self
        if isinstance(client, WayWebSocket):
            client.first = self.frame(*said)
        return client

    def _asked(self, said: list[Said], headers: Sequence[str]) -> bytes:
        path = f"/connection/{self.transport}"
        if self.websocket:
            names = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
            query = "?cf_protocol=protobuf" if self.format == "protobuf" else ""
            return request(path + query, b"", *names, key, "Content-Length: 0", *headers, method="GET")
        body = WIRES[self.format].write(said)
        if isinstance(body, bytes):
            return request(path, body, OCTETS, *headers)
        if self.transport.endswith("sse"):
            return request(f"{path}?cf_connect={quote(body)}", b"", *headers, method="GET")
        return request(path, body.encode(), *headers)

    def _parser(self) -> Parser:
        if self.websocket:
            return FrameParser()
        if self.format == "protobuf":
            return DelimitedParser()
        return SaidEvents() if self.transport.endswith("sse") else LineParser()


WAYS: Final = (
    Way("websocket"),
    Way("websocket", "protobuf"),
    Way("http_stream"),
    Way("http_stream", "protobuf"),
    Way("sse"),
    Way("uni_websocket"),
    Way("uni_http_stream"),
    Way("uni_sse"),
)
