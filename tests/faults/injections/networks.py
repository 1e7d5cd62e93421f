"""Networks are cut, fall silent in one direction or both, delay what they carry, and become narrow.

One lies between each gateway and Redis, and one between its clients and itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Final

from tests.faults.injections.injection import Family, Injected, Injection, Scene
from tests.faults.stack.place import Place
from tests.harness.tcp_proxy import TcpProxy

Find = Callable[[Place], TcpProxy]

SIDES: Final[dict[str, tuple[Family, Find]]] = {
    "bus": ("bus networks", lambda place: place.network),
    "clients": ("client networks", lambda place: place.door),
}

DELAY_SECONDS: Final = (0.02, 1.0)
BYTES_PER_SECOND: Final = (500.0, 50_000.0)


def _injections(side: str, family: Family, find: Find) -> Iterator[Injection]:
    """Yield all faults of one network."""

    def choose(scene: Scene, random: Random) -> tuple[int, str, TcpProxy]:
        place = random.choice(scene.stack.places)
        name = f"network of gateway {place.number} to {'Redis' if side == 'bus' else 'its clients'}"
        return place.number, name, find(place)

    async def cut(scene: Scene, random: Random) -> Injected:
        gateway, name, network = choose(scene, random)
        network.cut()
        return Injected(f"{name}: cut", gateway)

    def hole(attribute: str) -> Callable[[Scene, Random], Awaitable[Injected]]:
        async def inject(scene: Scene, random: Random) -> Injected:
            gateway, name, network = choose(scene, random)
            setattr(network, attribute, True)
            try:
                return Injected(f"{name}: {attribute} {await scene.last(random, 0.2, 15)}", gateway)
            finally:
                setattr(network, attribute, False)

        return inject

    async def delay(scene: Scene, random: Random) -> Injected:
        gateway, name, network = choose(scene, random)
        seconds = random.uniform(*DELAY_SECONDS)
        network.slow_down(delay_seconds=seconds)
        try:
            return Injected(f"{name}: {seconds * 1000:.0f} ms late {await scene.last(random, 1, 10)}", gateway)
        finally:
            network.slow_down()

    async def narrow(scene: Scene, random: Random) -> Injected:
        gateway, name, network = choose(scene, random)
        rate = random.uniform(*BYTES_PER_SECOND)
        network.slow_down(bytes_per_second=rate)
        try:
            return Injected(f"{name}: {rate:.0f} bytes/s {await scene.last(random, 1, 10)}", gateway)
        finally:
            network.slow_down()

    yield Injection(f"{side}: cut", family, cut)
    yield Injection(f"{side}: black hole", family, hole("black_hole"))
    yield Injection(f"{side}: hole towards the server", family, hole("mute"))
    yield Injection(f"{side}: hole from the server", family, hole("deaf"))
    yield Injection(f"{side}: delay", family, delay)
    yield Injection(f"{side}: narrow", family, narrow)


INJECTIONS = tuple(injection for side, (family, find) in SIDES.items() for injection in _injections(side, family, find))
