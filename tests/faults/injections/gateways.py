"""Gateways and their workers are killed, stopped, and drain; their clocks jump."""

from __future__ import annotations

import signal
from random import Random

from tests.faults.injections.injection import Injected, Injection, Scene
from tests.faults.stack import clock
from tests.faults.stack.place import Place, send
from tests.harness.conditions import wait_until


def choose(scene: Scene, random: Random) -> Place:
    """Return one of the gateways."""
    return random.choice(scene.stack.places)


async def kill(scene: Scene, random: Random) -> Injected:
    """Kill a gateway, and start another one after a while."""
    place = choose(scene, random)
    await place.kill()
    said = await scene.last(random, 0, 10)
    await place.start()
    return Injected(f"gateway {place.number} is killed, and away {said}", place.number)


async def stop(scene: Scene, random: Random) -> Injected:
    """Stop all processes of a gateway in their tracks."""
    place = choose(scene, random)
    stopped = place.signal_all(signal.SIGSTOP)
    try:
        return Injected(f"gateway {place.number} is stopped {await scene.last(random, 0.5, 30)}", place.number)
    finally:
        send(signal.SIGCONT, stopped)


async def drain(scene: Scene, random: Random) -> Injected:
    """Let a gateway drain, and start another one."""
    place = choose(scene, random)
    await place.drain()
    said = await scene.last(random, 0, 5)
    await place.start()
    return Injected(f"gateway {place.number} drains, and is away {said}", place.number)


async def kill_worker(scene: Scene, random: Random) -> Injected:
    """Kill a worker; its supervisor starts another one."""
    place = random.choice(scene.stack.places_with_workers)
    killed = random.choice(place.workers)
    send(signal.SIGKILL, [killed])
    await wait_until(lambda: killed not in place.workers, what="the supervisor starts another worker")
    return Injected(f"a worker of gateway {place.number} is killed", place.number)


async def stop_worker(scene: Scene, random: Random) -> Injected:
    """Stop a worker; when that is too long, its supervisor starts another one in its place."""
    place = random.choice(scene.stack.places_with_workers)
    worker = random.choice(place.workers)
    send(signal.SIGSTOP, [worker])
    try:
        return Injected(
            f"a worker of gateway {place.number} is stopped {await scene.last(random, 0.5, 12)}", place.number
        )
    finally:
        if worker in place.workers:
            send(signal.SIGCONT, [worker])


async def jump(scene: Scene, random: Random) -> Injected:
    """Let the clock of a gateway's process jump, and jump back."""
    place = random.choice(scene.stack.places_with_clocks)
    assert place.clock is not None
    seconds = random.choice((-86400, -3600, -5, 5, 3600, 86400))
    place.clock.jump(seconds)
    try:
        said = await scene.last(random, 2, 10)
    finally:
        place.clock.jump(0)
    return Injected(f"the clock of gateway {place.number} jumps by {seconds} s {said}", place.number)


INJECTIONS = (
    Injection("gateway killed", "gateways", kill),
    Injection("gateway stopped", "gateways", stop),
    Injection("gateway drained", "gateways", drain),
    Injection("worker killed", "gateways", kill_worker),
    Injection("worker stopped", "gateways", stop_worker),
    Injection("clock jumped", "gateways", jump, unavailable=clock.unavailable),
)
