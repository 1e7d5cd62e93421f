"""The back end of docs/auth.md that decides about clients, as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.conftest import EmbeddedFactory
from tests.docs.application import Application
from tests.docs.pages import code_blocks

PAGE = "docs/auth.md"
FILE = "fastapi_back_end.py"

(CODE,) = (code for code in code_blocks(PAGE, "python") if code.startswith(f"# {FILE}\n"))
(LINES,) = (code for code in code_blocks(PAGE, "sh") if "RELAY_AUTH_URL=" in code)
SETTINGS = {name.lower(): value for name, value in re.findall(r"^RELAY_(\w+)=(\S+)$", LINES, re.MULTILINE)}


@pytest.fixture
def back_end() -> Iterator[Application]:
    """The back end, as a process."""
    with Application(
        {FILE: CODE}, [sys.executable, "-m", "uvicorn", "fastapi_back_end:app", "--port", "{port}"], {}
    ) as it:
        yield it


async def test_it_lets_sessions_in_and_refuses_others(back_end: Application, embedded: EmbeddedFactory) -> None:
    path = SETTINGS["auth_url"].partition(".example.com")[2]
    url = f"http://127.0.0.1:{back_end.port}{path}"
    (gateway,) = await embedded(1, **{**SETTINGS, "auth_url": url, "auth_timeout": 30, "handshake_timeout": 60})
    cookie = {"Cookie": "theme=dark; session=4f1c"}
    async with connect(f"{gateway.url}/ws/chat:1?echo=1", additional_headers=cookie, proxy=None) as ann:
        await ann.send("hello")
        assert await ann.recv() == "hello"
    async with connect(f"{gateway.url}/ws/user:ann", additional_headers=cookie, proxy=None):
        pass
    for headers, channel, status, sentence in (
        (cookie, "user:bob", 403, "you may not subscribe to this channel"),
        ({"Cookie": "session=old"}, "chat:1", 401, "log in first"),
        ({}, "chat:1", 401, "log in first"),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{gateway.url}/ws/{channel}", additional_headers=headers, proxy=None)
        assert refused.value.response.status_code == status
        assert sentence in refused.value.response.body.decode()
    assert gateway.counters.auth_requests == {"allowed": 3, "refused": 2}
