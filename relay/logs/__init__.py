"""Structured logs: one line an entry, for people on a terminal and as JSON for everything else.

Entries of the standard library's loggers (asyncio, aiohttp) take the same way. Everything that clients can put into an
entry is made harmless: control characters are escaped, passwords in URLs and query strings are removed (`cleaning`).
Clients can't fill a disk either: entries of one kind are limited (`rate`), except on the level debug. Writing an entry
never waits for the reader of the log (`writer`).
"""

from relay.logs.cleaning import trace
from relay.logs.logger import Logger, log_left_out
from relay.logs.setup import configure_logs, dropped_entries, flush_logs

__all__ = ["Logger", "configure_logs", "dropped_entries", "flush_logs", "log_left_out", "trace"]
