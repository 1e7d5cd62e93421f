"""Subscribers read nothing for a while."""

from __future__ import annotations

from random import Random

from tests.faults.injections.injection import Injected, Injection, Scene
from tests.faults.load import BULK


async def stop_reading(scene: Scene, random: Random) -> Injected:
    """Let some subscribers read nothing, while large messages come on their channels."""
    subscribers = scene.crowd.subscribers
    bulk = [subscriber for subscriber in subscribers if subscriber.channel in BULK]
    others = [subscriber for subscriber in subscribers if subscriber.channel not in BULK]
    slow = [*random.sample(bulk, len(bulk) // 2), *random.sample(others, len(others) // 10)]
    for subscriber in slow:
        subscriber.reading.clear()
    try:
        await scene.crowd.burst()
        return Injected(f"{len(slow)} subscribers read nothing {await scene.last(random, 1, 20)}")
    finally:
        for subscriber in slow:
            subscriber.reading.set()


INJECTIONS = (Injection("slow readers", "readers", stop_reading),)
