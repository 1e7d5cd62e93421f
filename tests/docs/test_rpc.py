"""The back end of docs/backends.md that answers calls of clients, as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from relay import Settings
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.rpc import RpcBackEnd, make_rpc
from relay.rpc.answer import MAX_REASON_BYTES
from relay.rpc_call import DISCONNECT_CODES, ERROR_CODES, RpcDisconnect, RpcError
from tests.docs.application import Application
from tests.docs.pages import code_blocks, table_below, text_of
from tests.rpc.calls import call

PAGE = "docs/backends.md"
FILE = "fastapi_rpc.py"

(CODE,) = (code for code in code_blocks(PAGE, "python") if code.startswith(f"# {FILE}\n"))
(LINES,) = (code for code in code_blocks(PAGE, "sh") if "RELAY_RPC_URL=" in code)
SETTINGS = {name.lower(): value for name, value in re.findall(r"^RELAY_(\w+)=(\S+)$", LINES, re.MULTILINE)}


@pytest.fixture
def back_end() -> Iterator[Application]:
    """The back end, as a process."""
    with Application({FILE: CODE}, [sys.executable, "-m", "uvicorn", "fastapi_rpc:app", "--port", "{port}"], {}) as it:
        yield it


async def check_answers(rpc: RpcBackEnd) -> None:
    """Call everything that the example knows, and what it doesn't."""
    picked = rpc.headers_of(ConnectRequest("/", {}, {"Cookie": "theme=dark; session=4f1c"}, "203.0.113.7"))
    assert picked == {"Cookie": "session=4f1c"}
    assert await rpc.call(call(headers=picked)) == b'{"price":4}'
    assert await rpc.call(call(protocol="protobuf", transport="http_stream", meta=b"{}")) == b'{"price":4}'
    for given, code in (
        ({"method": "buy"}, 404),
        ({"data": b'{"of":"gold"}'}, 1000),
        ({"data": b""}, 1000),
        ({"data": b"\x00", "binary": True, "protocol": "protobuf"}, 1000),
    ):
        with pytest.raises(RpcError) as refused:
            await rpc.call(call(**given))
        assert refused.value.code == code
    with pytest.raises(RpcDisconnect) as closed:
        await rpc.call(call(user=None))
    assert (closed.value.code, closed.value.reason) == (4501, "log in first")


async def test_it_answers_calls(back_end: Application) -> None:
    path = SETTINGS["rpc_url"].partition(".example.com")[2]
    given: dict[str, Any] = {**SETTINGS, "rpc_url": f"http://127.0.0.1:{back_end.port}{path}", "rpc_timeout": 60}
    counters = Counters()
    rpc = make_rpc(Settings(**given), counters, by_user=True)
    await rpc.open()
    try:
        await check_answers(rpc)
    finally:
        await rpc.close()
    assert counters.rpc_calls == {"answered": 2, "error": 4, "disconnect": 1}


def test_the_codes_and_sizes_on_the_page_are_those_of_the_code() -> None:
    rows = [" | ".join(row) for row in table_below(PAGE, "| the back end answers, with status 200 |")]
    assert any(f"from {ERROR_CODES.start} to {ERROR_CODES.stop - 1}" in row for row in rows)
    assert any(
        f"from {DISCONNECT_CODES.start} to {DISCONNECT_CODES.stop - 1}" in row
        and f"at most {MAX_REASON_BYTES} bytes" in row
        for row in rows
    )


def test_the_members_on_the_page_are_those_of_a_question() -> None:
    section = text_of(PAGE).partition("\n## RPC\n")[2]
    rows = re.findall(r"^\| (`[^|]+) \|", section.partition("| member | is |")[2].partition("\n\n")[0], re.MULTILINE)
    named = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert named == {
        *("client", "transport", "protocol", "encoding", "user", "method", "data", "b64data", "meta"),
    }
