"""The fan-out of one gateway: the way that is at work, from its start to its end."""

from __future__ import annotations

from typing import Literal

from relay.fan_out.library import FanOutUnavailable
from relay.fan_out.ways import Way, open_fan_out
from relay.settings.field import PREFIX
from relay.settings.problem import SettingProblem, SettingsError


class FanOutInUse:
    """See above; made by the thread that runs the event loop.

    Args:
        wanted: see RELAY_FANOUT.

    Raises:
        SettingsError: this way isn't there any more.

    Attributes:
        way: that is at work.
        opened: what writes so; None: each client writes for itself.
    """

    def __init__(self, wanted: Way | Literal["auto"]) -> None:
        try:
            self.way, self.opened = open_fan_out(wanted)
        except FanOutUnavailable as error:
            problem = SettingProblem(f"{PREFIX}FANOUT", repr(wanted), f"what can be had here ({error})")
            raise SettingsError([problem]) from None

    def close(self) -> None:
        """Write to clients by their transports alone from now on."""
        if self.opened is not None:
            self.opened.close()
