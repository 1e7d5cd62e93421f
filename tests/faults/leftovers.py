"""What gateways hold: compared before the clients come and after they have gone."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from tests.faults.operations import Leftover
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place
from tests.faults.stack.stack import Stack
from tests.harness.conditions import wait_until
from tests.harness.http_response import get
from tests.harness.prometheus import samples

DESCRIPTORS: Final = "descriptors"
"""See `Place.descriptors`; the others are metrics."""

METRICS: Final = (
    "relay_connections_open",
    "relay_event_streams_open",
    "relay_polls_open",
    "relay_handshakes_open",
    "relay_channels",
    "relay_slow_consumers",
    "relay_client_buffer_bytes",
    "relay_recovery_buffer_bytes",
    "relay_paused_publishers",
    "relay_bus_subscriptions",
    "relay_bus_buffer_bytes",
    DESCRIPTORS,
)

LOOK_SECONDS: Final = 0.5

GONE_SECONDS: Final = 20.0
"""How long a gateway may keep what clients have left: it remembers those that poll for ten seconds."""

CLIENTS: Final = ("relay_connections_open", "relay_channels")
"""What shows that clients are still there."""

CHANNEL: Final = "kept:first"
"""What the channels of the first clients begin with."""

USERS: Final = 4

Held = dict[str, float]


class Leftovers:
    """What all gateways hold.

    Args:
        stack: of the gateways.
        recorder: where the comparison is noted.
    """

    def __init__(self, stack: Stack, recorder: Recorder) -> None:
        self._stack = stack
        self._recorder = recorder
        self._before: list[Held] = []

    async def begin(self) -> None:
        """Look at gateways that have had some clients, and have none: what opens at first use is open then."""
        for place in self._stack.places:
            await self._use(place)
        for place in self._stack.places:
            await wait_until(partial(self._is_left, place), what="the first clients have gone")
            self._before.append(await self._look(place))

    async def compare(self) -> None:
        """Look at gateways that have none any more, as soon as they hold no more than at the beginning, and note it."""
        least = await asyncio.gather(*map(self._least, self._stack.places, self._before))
        for place, had, held in zip(self._stack.places, self._before, least, strict=True):
            for what in METRICS:
                self._recorder.note(
                    Leftover(
                        at=self._recorder.now(), gateway=place.number, what=what, before=had[what], after=held[what]
                    )
                )

    async def _use(self, place: Place) -> None:
        """Let clients come at once to channels with histories, so that all connections are opened, and go."""
        channels = [f"{CHANNEL}{number}" for number in range(USERS)]
        # On a busy machine some are refused; their readings were begun all the same.
        await asyncio.gather(*(get(place.port, f"/poll/{channel}?wait=0") for channel in channels))

    async def _least(self, place: Place, had: Held) -> Held:
        """Return the least that a gateway holds from now on, as soon as that is no more than it had."""
        loop = asyncio.get_running_loop()
        until = loop.time() + GONE_SECONDS
        least = await self._look(place)
        while loop.time() < until and any(least[what] > had[what] for what in METRICS):
            await asyncio.sleep(LOOK_SECONDS)
            now = await self._look(place)  # a probe of the bus may be under way, which is nothing left over
            least = {what: min(least[what], now[what]) for what in METRICS}
        return least

    async def _is_left(self, place: Place) -> bool:
        held = await self._look(place)
        return not any(held[what] for what in CLIENTS)

    async def _look(self, place: Place) -> Held:
        found = dict.fromkeys(METRICS, 0.0)
        for (name, _), value in samples(await self._stack.page(place)).items():
            if name in found:
                found[name] += value
        found[DESCRIPTORS] = place.descriptors
        return found
