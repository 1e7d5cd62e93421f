"""The tables and the examples of docs/auth.md. The log-ins at its end have tests of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from relay import ConnectRequest, Grant, Refused, Settings
from relay.auth.auth_keys import read_rights
from relay.auth.rights import LETTERS, PatternRights, Right, compile_patterns
from relay.auth.tokens import Claims
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.docs.pages import ROOT, code_blocks, table_below
from tests.harness.free_port import free_port
from tests.harness.http_response import get

PAGE = "docs/auth.md"
RULES = table_below(PAGE, "| rule | rights | user | channel | may |")
SECRET = "a-secret-of-the-tests-with-forty-eight-characters"

BIN = Path(sys.executable).parent
CURL = shutil.which("curl")
NODE = shutil.which("node")

needs_curl = pytest.mark.skipif(CURL is None, reason="no curl here")
needs_node = pytest.mark.skipif(NODE is None, reason="no node here: sh tests/install.sh node")


def example(language: str, words: str) -> str:
    """Return the one example of a language in which some words stand."""
    (found,) = (code for code in code_blocks(PAGE, language) if words in code)
    return found


def python(code: str) -> str:
    """Return the line of a shell that runs an example."""
    return f"python - <<'END'\n{code}\nEND"


def run(script: str, variables: Mapping[str, str], ended: bool = True) -> str:
    """Return what the lines of a shell print; all that they start ends with them.

    Args:
        script: for bash.
        variables: of its environment.
        ended: whether all of it must succeed.
    """
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **variables}
    process = subprocess.Popen(
        ["bash", "-euc", script],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == 0 or not ended, output
    return output


@pytest.mark.parametrize(
    ("rule", "rights", "user", "channel", "may"), RULES, ids=[f"{row[1]} {row[3]}" for row in RULES]
)
def test_rights_are_what_the_table_says(rule: str, rights: str, user: str, channel: str, may: str) -> None:
    given = read_rights(tuple(item.strip() for item in rights.strip("`").split(",")))
    allowed = PatternRights(compile_patterns(given), user or None).allowed(channel.strip("`"))
    assert "".join(right.value for right in Right if right in allowed) == may.replace("nothing", "")


def test_a_rule_without_a_row_of_its_own_is_that_of_the_row_above() -> None:
    assert RULES[0][0]
    assert len({row[0] for row in RULES}) > 8


def test_the_letters_are_those_of_the_relay() -> None:
    rows = table_below(PAGE, "| letter |")
    assert "".join(row[0].strip("`") for row in rows if len(row[0]) == 3) == LETTERS


def test_the_more_specific_of_a_credential_and_of_the_settings_decides() -> None:
    """As the page says below its table."""
    defaults = {"chat:*": "r", "chat:staff": "", "news": "r"}
    rights = PatternRights(compile_patterns({"chat:*": "rw", "news": ""}, defaults), None)
    assert [rights.may_publish("chat:1"), rights.may_subscribe("chat:staff"), rights.may_subscribe("news")] == [
        True,
        False,
        False,
    ]
    assert not PatternRights(compile_patterns({}, {}), "ann").may_subscribe("news")


def test_the_claims_are_those_that_are_read() -> None:
    named = [name for row in table_below(PAGE, "| claim |") for name in re.findall("`(.+?)`", row[0])]
    assert sorted(named) == sorted(Claims.__struct_fields__)


def test_the_fields_of_requests_and_grants_are_those_of_the_code() -> None:
    for name, fields in (("ConnectRequest", ConnectRequest.__slots__), ("Grant", Grant.__struct_fields__)):
        rows = table_below(PAGE, f"| `{name}` |")
        assert [row[0].strip("`") for row in rows] == list(fields)


def refusals() -> list[tuple[str, list[str]]]:
    """Return causes of 401 in the code, and the parts of their sentences that don't depend on anything."""
    found = []
    call = re.compile(r'(?:Unauthenticated|__init__)\(\s*(MISSING|"[a-z_]+"),\s*f?"([^"]+)"', re.DOTALL)
    for package in ("auth", "authenticators"):
        for path in sorted((ROOT / "relay" / package).rglob("*.py")):
            for cause, sentence in call.findall(path.read_text()):
                parts = [part.strip() for part in re.split(r"\{.*?\}", sentence) if len(part.strip()) > 4]
                found.append(("no_credential" if cause == "MISSING" else cause.strip('"'), parts))
    return found


@pytest.mark.parametrize(("cause", "parts"), refusals())
def test_every_refusal_of_a_credential_is_explained(cause: str, parts: list[str]) -> None:
    rows = [row for row in table_below(PAGE, "| cause | sentence |") if row[0] == f"`{cause}`"]
    assert len(rows) == 1
    assert [part for part in parts if part not in rows[0][1]] == []


def test_no_refusal_is_explained_that_there_is_none_of() -> None:
    explained = {row[0].strip("`") for row in table_below(PAGE, "| cause | sentence |")}
    assert explained == {cause for cause, _ in refusals()}
    assert len(explained) > 10


@pytest.mark.parametrize("row", table_below(PAGE, "| status | sentence |"), ids=lambda row: row[1])
def test_other_sentences_are_those_of_the_code(row: list[str]) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "relay").rglob("*.py"))
    for sentence in row[1].replace("subscribe to", "{self.action}").replace("publish to", "{self.action}").split("; "):
        assert [part for part in sentence.split("...") if part not in sources] == []


@needs_curl
def test_three_lines_switch_it_on() -> None:
    port = free_port()
    three = code_blocks(PAGE, "sh")[0].replace("8000", str(port))
    refused = f"curl -s -d hello http://localhost:{port}/publish/chat:1"
    output = run(f"{three}\n{refused}\nkill %1", {"RELAY_PORT": str(port), "RELAY_DRAIN_SECONDS": "0"})
    assert '"channel": "chat:1"' in output
    assert "this relay wants a token" in output


def test_the_command_makes_tokens_and_says_what_they_allow() -> None:
    output = run(example("sh", "--ttl 10m"), {"RELAY_AUTH": "jwt", "RELAY_JWT_SECRET": SECRET})
    assert "accepted" in output
    assert "chat:1: may subscribe, may publish" in output


@pytest.mark.parametrize("words", ['RELAY_AUTH_KEYS="FIRST', "RELAY_RIGHTS="])
def test_lines_of_settings_are_in_order(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run(f"set -a\n{example('sh', words)}\nenv", {}).splitlines()
    for name, value in (line.split("=", 1) for line in lines if line.startswith("RELAY_")):
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert len(settings.auth_keys or ()) == 3 or settings.rights == {"news": "r", "user:{sub}": "r", "admin:*": ""}


async def test_the_token_of_the_page_is_accepted_by_all_its_clients(gateways: GatewayFactory) -> None:
    (gateway,) = await gateways(1, auth="jwt", jwt_secret=SECRET)
    made = await asyncio.to_thread(run, python(example("python", "print(jwt.encode")), {"RELAY_JWT_SECRET": SECRET})
    variables = {"TOKEN": made.strip()}
    here = f"localhost:{gateway.port}"
    script = python(example("python", "additional_headers=bearer").replace("localhost:8000", here))
    assert await asyncio.to_thread(run, script, variables) == "hello\n"
    if CURL is not None:
        publish, listen = example("sh", "curl -N").replace("localhost:8000", here).splitlines()
        assert '"channel": "chat:1"' in await asyncio.to_thread(run, publish, variables)
        # It would listen for ever.
        shown = await asyncio.to_thread(run, f"{listen} -si -m 2", variables, ended=False)
        assert "200 OK" in shown


@needs_node
@pytest.mark.parametrize("number", range(len(code_blocks(PAGE, "js"))))
def test_scripts_can_be_parsed(number: int, tmp_path: Path) -> None:
    file = tmp_path / "example.js"
    file.write_text(code_blocks(PAGE, "js")[number])
    assert NODE is not None
    subprocess.run([NODE, "--check", file], check=True)


def asked(**headers: str) -> ConnectRequest:
    """Return a request of a client."""
    return ConnectRequest(
        "/ws/stats:device-7", {}, {name.replace("_", "-"): value for name, value in headers.items()}, ""
    )


async def test_the_short_function_refuses_and_grants() -> None:
    names: dict[str, Any] = {}
    exec(example("python", "X-Maintenance"), names)
    authenticate = names["authenticate"]
    assert await authenticate(asked()) is None
    granted = await authenticate(asked(X_Device="7"))
    assert granted.identity({}).rights.may_publish("stats:device-7")
    with pytest.raises(Refused):
        await authenticate(asked(X_Maintenance="on"))


async def test_the_example_of_a_function_lets_sessions_in(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Named as on the page."""
    line = example("sh", "session_auth.authenticate")
    folder, auth = re.findall(r"PYTHONPATH=(\S+) .*RELAY_AUTH=(\S+)", line)[0]
    (schema,) = re.findall(r"`(CREATE TABLE .+)`", (ROOT / folder / "session_auth.py").read_text())
    file = tmp_path / "sessions.db"
    sessions = [("one", "ann", time.time() + 60), ("old", "bob", 1.0)]
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(schema)
        database.executemany("INSERT INTO sessions VALUES (?, ?, ?)", sessions)
    monkeypatch.setenv("SESSIONS", str(file))
    monkeypatch.syspath_prepend(ROOT / folder)
    (gateway,) = await embedded(1, auth=auth)
    cookie = {"Cookie": "theme=dark; session=one"}
    async with connect(f"{gateway.url}/ws/chat:1?echo=1", additional_headers=cookie, proxy=None) as ann:
        await ann.send("hello")
        assert await ann.recv() == "hello"
    statuses = {
        "/poll/user:ann?wait=0": ("one", 200),
        "/poll/user:bob?wait=0": ("one", 403),
        "/poll/chat:1?wait=0": ("old", 401),
        "/poll/chat:2?wait=0": ("none", 401),
    }
    for path, (session, status) in statuses.items():
        assert (await get(gateway.port, path, headers=[f"Cookie: session={session}"])).status == status
    assert "your session has ended" in (await get(gateway.port, "/poll/a", headers=["Cookie: session=old"])).text
    assert (await get(gateway.port, "/poll/chat:1")).status == 401
