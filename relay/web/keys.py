"""What the gateway gives to the HTTP side: handlers find it in their application, as `request.app[NODE]`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from relay.counters import Counters
from relay.node import Node
from relay.settings import Settings
from relay.web.polls import Polls

SETTINGS = web.AppKey("SETTINGS", Settings)
NODE = web.AppKey("NODE", Node)
POLLS = web.AppKey("POLLS", Polls)
COUNTERS = web.AppKey("COUNTERS", Counters)
PROBLEMS: web.AppKey[Callable[[], list[str]]] = web.AppKey("PROBLEMS")
"""Says, in words, what keeps the gateway from serving clients now; empty when it is ready."""
