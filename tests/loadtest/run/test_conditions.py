"""The table of a run's conditions."""

from __future__ import annotations

import platform
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest

from relay.loadtest.plan.plan import Act, Dialect, Plan
from relay.loadtest.run.conditions import Conditions, command_line
from relay.version import __version__

PLAN = Plan(urls=("ws://127.0.0.1:8000", "ws://user:secret@127.0.0.1:8001"), dialect=Dialect())


def conditions(plan: Plan = PLAN, **given: str) -> dict[str, str]:
    """Return the table of a plan."""
    return Conditions(plan, ["relay", "loadtest"], "uvloop", given).table()


def test_versions_are_told() -> None:
    """Of everything that measures."""
    table = conditions()
    assert table["relay"] == __version__
    assert table["Python"] == f"{platform.python_implementation()} {platform.python_version()}"
    assert table["event loop"] == f"uvloop {version('uvloop')}"
    assert table["numpy"] == version("numpy")
    assert table["hdrhistogram"] == version("hdrhistogram")
    assert table["command line"] == "relay loadtest"
    assert "kernel" in table
    assert len(table["load at the start"].split()) == 3
    assert Conditions(PLAN, [], "asyncio").table()["event loop"] == "asyncio"


def test_every_option_of_the_plan_is_told() -> None:
    """As numbers, words and lists."""
    plan = Plan(urls=("ws://h:1",), dialect=Dialect(), rate=2_000_000.5, act=Act.STORM, sweep=True, clients=5000)
    table = conditions(plan)
    assert set(Plan.__struct_fields__) - {"dialect"} <= {name.replace(" ", "_") for name in table}
    assert (table["urls"], table["rate"], table["clients"]) == ("ws://h:1", "2 000 000", "5 000")
    assert (table["act"], table["sweep"], table["source addresses"]) == ("storm", "yes", "none")
    assert table["warm up"] == "2"


def test_options_at_their_defaults_are_named() -> None:
    """So that a reader can leave them out; what was chosen isn't among them, nor what the machine is like."""
    found = Conditions(Plan(urls=("ws://h:1",), dialect=Dialect(), rate=7.0, sweep=True), [], "asyncio")
    assert {"clients", "drain", "warm up", "act"} < set(found.defaults) < set(found.table())
    assert not {"urls", "rate", "sweep", "Python"} & set(found.defaults)


def test_only_an_unusual_dialect_is_told() -> None:
    """Without the values of its headers."""
    assert not [name for name in conditions() if name.startswith("dialect")]
    dialect = Dialect(
        url="{url}/x/{channel}?token=abc",
        subscribe=('{"connect":{"token":"abc\\"def"}}', "hello"),
        answers=(("^2$", "3"),),
        headers=(("Authorization", "Bearer abc"), ("Origin", "http://h")),
    )
    table = conditions(Plan(urls=("ws://h:1",), dialect=dialect))
    assert table["dialect: url"] == "{url}/x/{channel}?token=***"
    assert table["dialect: subscribe"] == '{"connect":{"token":"***"}}, hello'
    assert table["dialect: answers"] == "^2$ => 3"
    assert table["dialect: headers"] == "Authorization => ***, Origin => ***"


def test_no_secret_is_told() -> None:
    """Of URLs and of settings."""
    table = conditions(RELAY_BROKER_URL="redis://user:secret@host/0", RELAY_WELCOME="a\x1b[31mb")
    assert "secret" not in str(table)
    assert table["urls"] == "ws://127.0.0.1:8000, ws://user:***@127.0.0.1:8001"
    assert table["RELAY_BROKER_URL"] == "redis://user:***@host/0"
    assert table["RELAY_WELCOME"] == "a\\x1b[31mb"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--clients", "10"], "--clients 10"),
        (["--header", "Authorization: Bearer abc"], "--header 'Authorization: ***'"),
        (["--header=Authorization: Bearer abc", "ws://h"], "'--header=Authorization: ***' ws://h"),
        (["--header", "Bearer abc", "ws://h"], "--header '***' ws://h"),
        (["--header", "--header", "X: 1"], "--header '***' 'X: 1'"),
        (["--token", "abc", "--token=abc", "abc"], "--token '***' '--token=***' abc"),
        (["--token", "--token", "abc"], "--token '***' abc"),
        (["--redis", "redis://:abc@h"], "--redis 'redis://:***@h'"),
        (["--redis=redis://abc@h"], "'--redis=redis://***@h'"),
        (["--url-template", "{url}?key=abc&x=1"], "--url-template '{url}?key=***&x=1'"),
        (["--subscribe-frame", '{"auth": "abc", "id": 1}'], """--subscribe-frame '{"auth": "***", "id": 1}'"""),
    ],
)
def test_the_command_line_can_be_typed_again(arguments: list[str], shown: str) -> None:
    """But for its secrets."""
    assert command_line(["relay", "loadtest", *arguments]) == f"relay loadtest {shown}"
    assert shlex.split(shown)


def test_time_that_the_host_took_is_told(tmp_path: Path) -> None:
    """From the start of the run to its end."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 0 800 0 0 0 100 0 0\n")
    watch = Conditions(PLAN, [], "asyncio", proc=tmp_path)
    assert watch.stolen_share() is None
    stat.write_text("cpu  130 0 0 860 0 0 0 110 0 0\n")
    assert watch.stolen_share() == pytest.approx(0.1)
    assert watch.table()["stolen by the host"] == "10 %"
    stat.unlink()
    assert "stolen by the host" not in watch.table()
