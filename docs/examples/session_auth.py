"""RELAY_AUTH=session_auth.authenticate: knows clients by the session of a web application, which keeps it in SQLite.

The variable SESSIONS names the file. Its table: `CREATE TABLE sessions (id TEXT PRIMARY KEY, user TEXT, ends REAL)`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from http.cookies import CookieError, SimpleCookie

from relay import ConnectRequest, Grant, Refused

CHANNELS = {"chat:*": "rw", "user:{sub}": "r"}
"""What every user gets who is logged in."""


async def authenticate(request: ConnectRequest) -> Grant | None:
    """Return what the client gets that sends a request; None: it is refused with 401."""
    session = read_session(request.header("Cookie") or "")
    if session is None:
        return None
    # SQLite blocks, and no other client of the gateway should wait for it.
    row = await asyncio.to_thread(find_session, session)
    if row is None:
        return None
    user, ends = row
    if ends <= time.time():
        raise Refused(401, "your session has ended: log in again")
    return Grant(user, CHANNELS, expires_at=ends)


def read_session(cookies: str) -> str | None:
    """Return the value of the cookie `session`."""
    try:
        morsel = SimpleCookie(cookies).get("session")
    except CookieError:
        return None
    return None if morsel is None else morsel.value


def find_session(session: str) -> tuple[str, float] | None:
    """Return the user of a session, and when it ends in seconds since 1970; None: there is no such session."""
    with closing(sqlite3.connect(os.environ["SESSIONS"], timeout=1)) as database:
        row = database.execute("SELECT user, ends FROM sessions WHERE id = ?", (session,)).fetchone()
    return None if row is None else (str(row[0]), float(row[1]))
