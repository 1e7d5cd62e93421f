"""What the gateway gives to the HTTP side: handlers find it in their application, as `request.app[NODE]`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from relay.control import Control
from relay.counters import Counters
from relay.node import Node
from relay.settings import Settings
from relay.web.deadlines import Deadlines
from relay.web.polls import Polls

SETTINGS = web.AppKey("SETTINGS", Settings)
NODE = web.AppKey("NODE", Node)
CONTROL = web.AppKey("CONTROL", Control)
POLLS = web.AppKey("POLLS", Polls)
COUNTERS = web.AppKey("COUNTERS", Counters)
DEADLINES = web.AppKey("DEADLINES", Deadlines)
PROBLEMS: web.AppKey[Callable[[], list[str]]] = web.AppKey("PROBLEMS")
"""Says, in words, what keeps the gateway from serving clients now; empty when it is ready."""
DRAINING: web.AppKey[Callable[[], bool]] = web.AppKey("DRAINING")
"""Tells whether the gateway says goodbye to its clients."""
READMIT: web.AppKey[Callable[[asyncio.Transport, bytes], None]] = web.AppKey("READMIT")
"""Begins anew with a connection and the head of a request that came over it."""
