"""Redis cuts connections, answers late, and refuses: by its limits, and by the rights of its user."""

from __future__ import annotations

import asyncio
from random import Random

from tests.faults.injections.injection import Injected, Injection, Scene
from tests.faults.load import PROBE
from tests.faults.stack.bus import RIGHTS, USER

REFUSALS = (
    ("resetchannels",),
    ("resetchannels", "&relay:[^a-z]*", f"&relay:{PROBE}*", "&relay:kept:*"),
    ("-publish",),
    ("-evalsha",),
    ("-ping",),
    ("-subscribe",),
    ("resetkeys",),
)
"""What Redis may take away: channels, single commands, keys."""

OUTPUT_BUFFER = "pubsub 262144 0 0"
OUTPUT_BUFFER_BEFORE = "pubsub 33554432 8388608 60"


async def kill_subscribers(scene: Scene, random: Random) -> Injected:
    """Cut all connections that are subscribed."""
    return await _kill(scene, random, "pubsub")


async def kill_callers(scene: Scene, random: Random) -> Injected:
    """Cut all connections that aren't."""
    return await _kill(scene, random, "normal")


async def _kill(scene: Scene, random: Random, kind: str) -> Injected:
    times = random.randint(1, 3)
    for _ in range(times):
        await asyncio.to_thread(scene.stack.bus.primary.kill_clients, kind, USER)
        await asyncio.sleep(random.uniform(0, 0.5))
    return Injected(f"CLIENT KILL TYPE {kind}, {times} times")


async def pause(scene: Scene, random: Random) -> Injected:
    """Let Redis execute no commands, or none that write."""
    mode = random.choice(("ALL", "WRITE"))
    seconds = min(scene.longest, random.uniform(0.2, 8))
    await asyncio.to_thread(scene.stack.bus.primary.admin.client_pause, round(seconds * 1000), all=mode == "ALL")
    await asyncio.sleep(seconds)
    return Injected(f"CLIENT PAUSE {mode} for {seconds:.1f} s")


async def fill_memory(scene: Scene, random: Random) -> Injected:
    """Let Redis take no more writes."""
    return Injected(f"maxmemory is reached {await _configure(scene, random, 'maxmemory', '1', '0')}")


async def refuse_connections(scene: Scene, random: Random) -> Injected:
    """Let Redis take no new connections, and end those of its clients."""
    server = scene.stack.bus.primary
    await asyncio.to_thread(server.admin.config_set, "maxclients", 1)
    try:
        for kind in ("pubsub", "normal"):
            await asyncio.to_thread(server.kill_clients, kind, USER)
        return Injected(f"maxclients is reached {await scene.last(random, 0.5, 6)}")
    finally:
        await asyncio.to_thread(server.admin.config_set, "maxclients", 10_000)


async def overflow(scene: Scene, random: Random) -> Injected:
    """Let a gateway take nothing from Redis for so long that Redis cuts it."""
    server = scene.stack.bus.primary
    place = random.choice(scene.stack.places)
    await asyncio.to_thread(server.admin.config_set, "client-output-buffer-limit", OUTPUT_BUFFER)
    place.network.deaf = True
    try:
        async with asyncio.timeout(10):
            await scene.crowd.burst()
    except TimeoutError:
        pass
    finally:
        place.network.deaf = False
        await asyncio.to_thread(server.admin.config_set, "client-output-buffer-limit", OUTPUT_BUFFER_BEFORE)
    return Injected(f"gateway {place.number} takes nothing until its output buffer is full", place.number)


async def refuse(scene: Scene, random: Random) -> Injected:
    """Take rights away from the user of Redis."""
    server = scene.stack.bus.primary
    rules = random.choice(REFUSALS)
    await asyncio.to_thread(server.allow, USER, *rules)
    try:
        return Injected(f"ACL SETUSER {' '.join(rules)} {await scene.last(random, 0.5, 5)}")
    finally:
        await asyncio.to_thread(server.allow, USER, *RIGHTS)


async def _configure(scene: Scene, random: Random, name: str, during: str, after: str) -> str:
    server = scene.stack.bus.primary
    await asyncio.to_thread(server.admin.config_set, name, during)
    try:
        return await scene.last(random, 0.5, 5)
    finally:
        await asyncio.to_thread(server.admin.config_set, name, after)


INJECTIONS = (
    Injection("CLIENT KILL pubsub", "redis", kill_subscribers),
    Injection("CLIENT KILL normal", "redis", kill_callers),
    Injection("CLIENT PAUSE", "redis", pause),
    Injection("maxmemory", "redis", fill_memory),
    Injection("maxclients", "redis", refuse_connections),
    Injection("output buffer limit", "redis", overflow),
    Injection("ACL", "redis", refuse),
)
