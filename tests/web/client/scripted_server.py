"""A server that stands in for a gateway, or for what is in front of it, and answers as a test says."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.harness.conditions import wait_until_blocking

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_OF_ANY_SITE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Expose-Headers": "*",
}


@dataclass(frozen=True)
class Answer:
    """An answer to a request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


STREAM = Answer(headers={"Content-Type": "text/event-stream"}, body=": beat\n\n")


class ScriptedServer:
    """Takes WebSockets and requests. A context manager; attributes may be changed at any time.

    Args:
        port: of 127.0.0.1; 0: a free one.

    Attributes:
        websockets: whether it takes WebSockets; else it hangs up on who asks for one.
        gets: answer to a GET; `STREAM` stays open.
        posts: answer to a POST.
        posting: POSTs get their answer while it is set.
        sockets: how many WebSockets were asked for.
        asked: the paths of all other requests, in order.
        posted: the bodies of POSTs, in order.
    """

    def __init__(self, port: int = 0) -> None:
        self.websockets = False
        self.gets = STREAM
        self.posts = Answer()
        self.posting = threading.Event()
        self.posting.set()
        self.sockets = 0
        self.asked: list[str] = []
        self.posted: list[str] = []
        self._open: list[_Handler] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.script = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.posting.set()
        self.cut()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def cut(self) -> None:
        """End the streams and WebSockets that are open."""
        while self._open:
            self._open.pop().over.set()

    def stay(self, handler: _Handler) -> None:
        """Keep a connection until the next cut."""
        self._open.append(handler)
        handler.over.wait()

    def was_asked(self, times: int) -> None:
        """Wait until there were as many requests."""
        wait_until_blocking(lambda: len(self.asked) >= times, what=f"{times} requests")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: ScriptedServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.over = threading.Event()

    def do_OPTIONS(self) -> None:
        """Let pages of any site ask."""
        self._answer(Answer(204))

    def do_GET(self) -> None:
        """Take a WebSocket, or open a stream, or answer."""
        script = self.server.script
        if self.headers.get("Upgrade") == "websocket":
            script.sockets += 1
            if script.websockets:
                self._upgrade()
                script.stay(self)
            return
        script.asked.append(self.path)
        self._answer(script.gets)
        if script.gets is STREAM:
            script.stay(self)

    def do_POST(self) -> None:
        """Take a message."""
        script = self.server.script
        body = self.rfile.read(int(self.headers["Content-Length"]))
        script.asked.append(self.path)
        script.posted.append(body.decode())
        script.posting.wait()
        self._answer(script.posts)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _upgrade(self) -> None:
        key = self.headers["Sec-WebSocket-Key"]
        accept = base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest()).decode()  # noqa: S324  # RFC 6455
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.wfile.write(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**_OF_ANY_SITE, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body.encode())
