"""`relay check`: what settings and machine lack for production."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from relay.checks.table import ITEMS
from tests.cli.command import Outcome, invoke, on_terminal, run
from tests.conftest import RedisFactory
from tests.docs.pages import text_of
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.redis_server import RedisServer

SECRET = "a secret of more than thirty-two bytes"

RULES = " ".join(re.findall(r"^    .*?((?:resetchannels|~relay:).+)$", text_of("docs/operations.md"), re.MULTILINE))


def states(outcome: Outcome) -> dict[str, str]:
    """Return the state of each item in what `--json` prints."""
    return {entry["item"]: entry["state"] for entry in json.loads(outcome.output)}


def reasons(outcome: Outcome) -> dict[str, str]:
    """Return the reason of each item."""
    return {entry["item"]: entry["reason"] for entry in json.loads(outcome.output)}


@pytest.fixture
def production(redis_with: RedisFactory, certificate_authority: CertificateAuthority) -> dict[str, str]:
    """Variables of a gateway that lacks nothing, and a Redis as deploy/redis.conf configures it."""
    lines = text_of("deploy/redis.conf").splitlines()
    wanted = ("client-output-buffer-limit", "maxmemory", "appendonly", "appendfsync", "tcp-keepalive")
    chosen = [line.split() for line in lines if line.startswith(wanted)]
    server = redis_with(options=[word for name, *values in chosen for word in (f"--{name}", *values)])
    issued = certificate_authority.issue("production", ends=timedelta(days=60))
    return {
        "RELAY_AUTH": "jwt",
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_ALLOWED_ORIGINS": "https://app.example.com",
        "RELAY_ALLOWED_HOSTS": "relay.example.com",
        "RELAY_HOST": "0.0.0.0",
        "RELAY_TLS_CERT": str(issued.certificate_file),
        "RELAY_TLS_KEY": str(issued.key_file),
        "RELAY_DEMO": "off",
        "RELAY_METRICS_PORT": "9000",
        "RELAY_MAX_CONNECTIONS": "1000",
        "RELAY_HISTORY_SIZE": "100",
        "RELAY_PRESENCE": "on",
        "RELAY_BROKER_URL": server.add_user("relay", "secret", RULES),
    }


def test_a_playground_is_not_ready_for_production() -> None:
    """One line for each item, each that isn't ok with the place of its reason, and the exit code 1."""
    result = invoke("check")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) == len(ITEMS)
    for line, item in zip(lines, ITEMS, strict=True):
        state, _, rest = line.partition(" ")
        assert rest.strip().startswith(item.name)
        assert (f"({item.anchor})" in line) is (state != "ok")
    assert "missing  Authentication        RELAY_AUTH is none: " in result.stdout
    assert re.fullmatch(r"relay: missing 5, warning \d+, unknown 4, ok \d+\n", result.stderr)
    assert "\x1b" not in result.output


async def test_nothing_is_missing_in_production(production: dict[str, str]) -> None:
    """What can't be seen from here is said, and is no reason to fail."""
    outcome = await run("check", "--json", **production)
    found = states(outcome)
    assert {state for state in found.values()} == {"ok", "unknown"}, outcome.output
    assert {item for item, state in found.items() if state == "unknown"} == {
        "Metrics port", "Stop timeout", "Alerts", "Capacity"
    }  # fmt: skip
    assert outcome.code == 0
    assert SECRET not in outcome.output
    assert ":secret@" not in outcome.output


async def test_json_has_the_place_of_each_reason(production: dict[str, str]) -> None:
    outcome = await run("check", "--json", "--demo", "on", **production)
    assert outcome.code == 1
    assert json.loads(outcome.output)[[item.name for item in ITEMS].index("Playground")] == {
        "item": "Playground",
        "state": "missing",
        "reason": "every visitor of the relay's address gets the playground; set RELAY_DEMO=off",
        "why": "docs/production.md#playground",
    }


async def test_flags_and_files_count_as_for_serve(production: dict[str, str], tmp_path: Path) -> None:
    """And so does who can read them."""
    (tmp_path / ".env").write_text(f"RELAY_JWT_SECRET='{SECRET}'\n")
    (tmp_path / ".env").chmod(0o644)
    del production["RELAY_JWT_SECRET"]
    outcome = await run("check", "--json", **production)
    assert states(outcome)["Secrets"] == "missing"
    assert "chmod 600 .env" in reasons(outcome)["Secrets"]
    (tmp_path / ".env").chmod(0o600)
    outcome = await run("check", "--json", "--jwt-secret", SECRET, **production)
    assert reasons(outcome)["Secrets"].startswith("RELAY_JWT_SECRET: every user of this machine can read flags")


async def test_a_redis_that_does_not_answer_is_missing(own_redis: RedisServer) -> None:
    own_redis.kill()
    outcome = await run("check", "--json", RELAY_BROKER_URL=own_redis.url)
    assert outcome.code == 1
    assert states(outcome)["Redis"] == "missing"
    assert f"connecting to 127.0.0.1:{own_redis.port}: Connection refused" in reasons(outcome)["Redis"]
    assert states(outcome)["Redis rights"] == "unknown"


async def test_a_redis_that_hides_its_configuration_is_not_guessed_at(own_redis: RedisServer) -> None:
    url = own_redis.add_user("limited", "secret", "&* ~* +@all -config")
    outcome = await run("check", "--json", RELAY_BROKER_URL=url)
    assert states(outcome)["Redis output buffers"] == "unknown"
    assert states(outcome)["Redis timeouts"] == "unknown"
    assert states(outcome)["Redis rights"] == "ok"


async def test_rights_that_are_missing_are_named(own_redis: RedisServer) -> None:
    """Of those that these settings need."""
    url = own_redis.add_user("limited", "secret", "&* ~* +@all -xadd -hset")
    outcome = await run("check", "--json", RELAY_BROKER_URL=url, RELAY_HISTORY_SIZE=10)
    assert states(outcome)["Redis rights"] == "missing"
    assert "its user lacks +xadd, or" in reasons(outcome)["Redis rights"]


async def test_a_certificate_that_ends_soon_is_told(
    certificate_authority: CertificateAuthority, production: dict[str, str]
) -> None:
    issued = certificate_authority.issue("short", ends=timedelta(days=3, hours=1))
    production |= {"RELAY_TLS_CERT": str(issued.certificate_file), "RELAY_TLS_KEY": str(issued.key_file)}
    outcome = await run("check", "--json", **production)
    assert states(outcome)["Certificate"] == "warning"
    assert "localhost ends in 3 days" in reasons(outcome)["Certificate"]


@pytest.mark.parametrize("given", [("--port", "many"), ("--tls-cert", "/nowhere/cert.pem")])
def test_wrong_settings_are_told_as_by_serve(given: tuple[str, str]) -> None:
    """And nothing else is: `relay config` is for those."""
    result = invoke("check", *given)
    assert result.exit_code == 2
    assert "relay: 1 setting is wrong" in result.stderr
    assert result.stdout == ""


async def test_a_terminal_gets_whole_words_in_its_width() -> None:
    code, shown = await on_terminal("check", columns=100)
    assert code == 1
    assert "\x1b[31mmissing\x1b[0m  Authentication" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= 100
    assert "(docs/production.md#authentication)" in plain
