"""The everyday relay: websockets' asyncio server, broadcast() and redis-py's pub/sub.

This is what the relay is measured against, so it is written the way the libraries'
own documentation teaches it, and with the settings that help it: uvloop, no
compression, a binary envelope instead of JSON, one Redis subscription per channel.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal

import redis.asyncio as redis
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

PREFIX = "everyday:"
ID_SIZE = 16  # bytes of the sender's UUID in front of each message on Redis
TEXT, BINARY = b"t", b"b"


class Relay:
    """The channels of this process, their clients and their Redis readers."""

    def __init__(self, client: redis.Redis) -> None:
        """Start without channels; client is used for publishing and for pub/sub."""
        self.redis = client
        self.clients: dict[str, dict[bytes, ServerConnection]] = {}
        self.readers: dict[str, asyncio.Task[None]] = {}

    async def handle(self, connection: ServerConnection) -> None:
        """Serve one client until it leaves: ws://HOST:PORT/ws/CHANNEL."""
        assert connection.request is not None
        path = connection.request.path.partition("?")[0]
        channel = path.removeprefix("/ws/") if path.startswith("/ws/") else "lobby"
        sender = connection.id.bytes
        self.join(channel, sender, connection)
        try:
            async for message in connection:
                if isinstance(message, str):
                    kind, body = TEXT, message.encode()
                else:
                    kind, body = BINARY, message
                await self.redis.publish(PREFIX + channel, sender + kind + body)
        except ConnectionClosed:
            pass
        finally:
            self.leave(channel, sender)

    def join(self, channel: str, sender: bytes, connection: ServerConnection) -> None:
        """Add a client to a channel; the first one starts the channel's reader."""
        if channel not in self.clients:
            self.clients[channel] = {}
            self.readers[channel] = asyncio.create_task(self.read(channel))
        self.clients[channel][sender] = connection

    def leave(self, channel: str, sender: bytes) -> None:
        """Remove a client from a channel; the last one stops the channel's reader."""
        del self.clients[channel][sender]
        if not self.clients[channel]:
            del self.clients[channel]
            self.readers.pop(channel).cancel()

    async def read(self, channel: str) -> None:
        """Pass the channel's messages from Redis to every client but the sender."""
        async with self.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(PREFIX + channel)
            async for event in pubsub.listen():
                data: bytes = event["data"]
                sender, kind = data[:ID_SIZE], data[ID_SIZE : ID_SIZE + 1]
                clients = self.clients[channel]
                others = [c for key, c in clients.items() if key != sender]
                broadcast(others, data[ID_SIZE + 1 :], text=kind == TEXT)


async def main(options: argparse.Namespace) -> None:
    """Run the server until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with redis.from_url(options.redis) as client:
        relay = Relay(client)
        async with serve(
            relay.handle,
            options.host,
            options.port,
            compression=None,
            ping_interval=options.ping_interval or None,
        ):
            await stop.wait()


def arguments() -> argparse.Namespace:
    """Read the flags; each has an environment variable as its default."""
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m bench.everyday", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(env("EVERYDAY_PORT", "8000")))
    parser.add_argument("--redis", default=env("EVERYDAY_REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument(
        "--ping-interval",
        type=float,
        default=float(env("EVERYDAY_PING_INTERVAL", "25")),
        help="seconds; 0 sends no pings",
    )
    parser.add_argument(
        "--event-loop",
        choices=("uvloop", "asyncio"),
        default=env("EVERYDAY_EVENT_LOOP", "uvloop"),
    )
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    flags = arguments()
    if flags.event_loop == "uvloop":
        import uvloop

        uvloop.run(main(flags))
    else:
        asyncio.run(main(flags))
