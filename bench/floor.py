"""The floor of fan-out: a server that does nothing but send().

No Redis, no event loop, no WebSocket library: a message from one client is unmasked and
sent to all others, one send() each. What this costs is the kernel's share of a delivery
on this machine at this hour; no server without batching can be cheaper. With FLOOR_LOOP=C
the loop over the clients is compiled, so that nothing of Python is left in it.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
import select
import socket
import subprocess
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path

from .wire import GUID, MESSAGE_SIZE, SENT_SIZE


def shake_hands(sock: socket.socket) -> None:
    """Answer the opening handshake."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += sock.recv(4096)
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    )
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)


def server_frames(data: bytes) -> list[bytes]:
    """Return the server frames of the bench messages in whole client frames."""
    found = []
    for start in range(0, len(data), SENT_SIZE):
        mask = data[start + 4 : start + 8] * (MESSAGE_SIZE // 4)
        masked = data[start + 8 : start + SENT_SIZE]
        payload = int.from_bytes(masked, "big") ^ int.from_bytes(mask, "big")
        found.append(data[start : start + 1] + b"\x7e" + MESSAGE_SIZE.to_bytes(2, "big"))
        found[-1] += payload.to_bytes(MESSAGE_SIZE, "big")
    return found


LOOP = """
#include <stddef.h>
#include <sys/socket.h>

/* Return how many sockets have not taken everything. */
size_t send_to_all(const int *sockets, size_t count, const void *data, size_t bytes)
{
    size_t failed = 0;
    for (size_t place = 0; place < count; place++)
        failed += send(sockets[place], data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)bytes;
    return failed;
}
"""

Send = Callable[[bytes], None]


def prepare(sockets: list[socket.socket]) -> Send:
    """Return what sends a frame to all of them."""

    def send_to_all(frame: bytes) -> None:
        for sock in sockets:
            sock.send(frame)

    return send_to_all


def compile_loop() -> Callable[[list[socket.socket]], Send]:
    """Return a `prepare` whose loop is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder) / "loop.so")
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", library, "-xc", "-"]
        subprocess.run(command, input=LOOP.encode(), check=True)
        loop = ctypes.CDLL(library).send_to_all
    loop.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    loop.restype = ctypes.c_size_t

    def prepare_compiled(sockets: list[socket.socket]) -> Send:
        descriptors = array("i", [sock.fileno() for sock in sockets])
        address, count = descriptors.buffer_info()

        def send_to_all(frame: bytes) -> None:
            assert len(descriptors) == count
            if loop(address, count, frame, len(frame)):
                raise BlockingIOError("a client does not keep up")

        return send_to_all

    return prepare_compiled


def main(port: int) -> None:
    """Serve for ever; every client is in the same channel."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    clients: dict[int, socket.socket] = {}
    prepare_to_send = compile_loop() if os.environ.get("FLOOR_LOOP") == "C" else prepare
    # Ready for each sender, until a client comes or goes.
    prepared: dict[socket.socket, Send] = {}
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == listener.fileno():
                sock, _ = listener.accept()
                shake_hands(sock)
                clients[sock.fileno()] = sock
                prepared.clear()
                epoll.register(sock, select.EPOLLIN)
                continue
            sender = clients[descriptor]
            try:
                data = sender.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                clients.pop(descriptor).close()
                prepared.clear()
                continue
            if sender not in prepared:
                prepared[sender] = prepare_to_send([sock for sock in clients.values() if sock is not sender])
            for frame in server_frames(data):
                prepared[sender](frame)


if __name__ == "__main__":
    main(int(os.environ["FLOOR_PORT"]))
