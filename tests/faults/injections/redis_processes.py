"""Redis is killed, stopped, emptied, and replaced by its replica."""

from __future__ import annotations

import asyncio
from random import Random

from tests.faults.injections.injection import Injected, Injection, Scene
from tests.harness.redis_server import RedisServer

LAG_SECONDS = (0.2, 2.0)
"""For how long a replica may have got nothing when it becomes the primary."""


async def kill_with_file(scene: Scene, random: Random) -> Injected:
    """Kill Redis, which writes everything into an append-only file, and start it again."""
    return Injected(
        f"Redis is killed, with an append-only file, and away {await _kill(scene, random, append_only=True)}"
    )


async def kill_without_file(scene: Scene, random: Random) -> Injected:
    """Kill Redis, which keeps nothing, and start it again."""
    return Injected(f"Redis is killed, without any file, and away {await _kill(scene, random, append_only=False)}")


async def _kill(scene: Scene, random: Random, *, append_only: bool) -> str:
    server = scene.stack.bus.primary
    await asyncio.to_thread(server.append, append_only)
    await asyncio.to_thread(server.kill)
    try:
        return await scene.last(random, 0, 8)
    finally:
        await asyncio.to_thread(server.start)


async def stop(scene: Scene, random: Random) -> Injected:
    """Stop Redis in its tracks."""
    server = scene.stack.bus.primary
    server.pause()
    try:
        return Injected(f"Redis is stopped {await scene.last(random, 0.2, 12)}")
    finally:
        server.resume()


async def flush(scene: Scene, random: Random) -> Injected:
    """Remove everything."""
    await asyncio.to_thread(scene.stack.bus.primary.admin.flushall)
    return Injected("FLUSHALL")


async def fail_over(scene: Scene, random: Random) -> Injected:
    """Kill the primary, and let a replica take its place that lags behind."""
    bus = scene.stack.bus
    await bus.in_step()
    bus.replication.black_hole = True
    lag = random.uniform(*LAG_SECONDS)
    await asyncio.sleep(lag)
    former = bus.primary
    await asyncio.to_thread(former.kill)
    bus.replication.cut()
    said = await scene.last(random, 0, 5)
    bus.swap()
    await asyncio.to_thread(_promote, bus.primary)
    bus.reroute()
    bus.replication.black_hole = False
    former.append_only = False
    await asyncio.to_thread(former.start)
    await bus.replicate()
    return Injected(f"a replica becomes the primary that lags by {lag:.1f} s, after nobody was {said}")


async def demote(scene: Scene, random: Random) -> Injected:
    """Let a replica become the primary that lags behind, while clients stay at the former one."""
    bus = scene.stack.bus
    await bus.in_step()
    bus.replication.black_hole = True
    lag = random.uniform(*LAG_SECONDS)
    await asyncio.sleep(lag)
    bus.replication.cut()
    bus.swap()
    await asyncio.to_thread(_promote, bus.primary)
    bus.replication.black_hole = False
    await bus.replicate()
    said = await scene.last(random, 0, 3)
    bus.reroute()
    for network in bus.networks:
        network.cut()
    return Injected(
        f"a replica becomes the primary that lags by {lag:.1f} s, and clients stay at the former one {said}"
    )


def _promote(server: RedisServer) -> None:
    server.admin.replicaof("NO", "ONE")


INJECTIONS = (
    Injection("Redis killed, append-only", "redis", kill_with_file),
    Injection("Redis killed, no file", "redis", kill_without_file, forgets=True),
    Injection("Redis stopped", "redis", stop),
    Injection("Redis emptied", "redis", flush, forgets=True),
    Injection("failover, primary dead", "redis", fail_over, forgets=True),
    Injection("failover, primary alive", "redis", demote, forgets=True),
)
