"""The floor of fan-out: a server that does nothing but send().

No Redis, no event loop, no WebSocket library: a message from one client is unmasked and
sent to all others, one send() each. What this costs is the kernel's share of a delivery
on this machine at this hour; no server without batching can be cheaper.
"""

from __future__ import annotations

import base64
import hashlib
import os
import select
import socket

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


def main(port: int) -> None:
    """Serve for ever; every client is in the same channel."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    clients: dict[int, socket.socket] = {}
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == listener.fileno():
                sock, _ = listener.accept()
                shake_hands(sock)
                clients[sock.fileno()] = sock
                epoll.register(sock, select.EPOLLIN)
                continue
            sender = clients[descriptor]
            try:
                data = sender.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                clients.pop(descriptor).close()
                continue
            others = [sock for sock in clients.values() if sock is not sender]
            for frame in server_frames(data):
                for sock in others:
                    sock.send(frame)


if __name__ == "__main__":
    main(int(os.environ["FLOOR_PORT"]))
