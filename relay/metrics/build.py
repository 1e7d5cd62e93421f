"""What runs here: the labels of `relay_build_info`."""

from __future__ import annotations

import asyncio
import platform

from relay.version import __version__


def build_labels(revision: str | None) -> dict[str, str]:
    """Return version, revision, Python and event loop; call inside the event loop.

    Args:
        revision: what was built, such as a commit; None: unknown.
    """
    return {
        "version": __version__,
        "revision": revision or "unknown",
        "python": platform.python_version(),
        "event_loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
    }
