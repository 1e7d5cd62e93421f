"""`relay loadtest`: what its options mean, and what it says to those that mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relay.loadtest.plan.profiles import PROFILES
from relay.loadtest.result.threshold import Threshold
from tests.cli.command import invoke

URL = "ws://127.0.0.1:1"


class Started:
    """What the command would start."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, ...], int, list[Threshold], dict[str, Any]]] = []

    def __call__(
        self, urls: tuple[str, ...], gateways: int, thresholds: list[Threshold], options: dict[str, Any]
    ) -> int:
        self.calls.append((urls, gateways, thresholds, options))
        return 0

    @property
    def options(self) -> dict[str, Any]:
        """Options that were given, of the only call."""
        ((_, _, _, options),) = self.calls
        return {name: value for name, value in options.items() if value not in (None, ())}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Start nothing."""
    recorder = Started()
    monkeypatch.setattr("relay.cli.loadtest_run.run_load_test", recorder)
    return recorder


def test_without_options_nothing_is_decided(started: Started) -> None:
    assert invoke("loadtest", URL).exit_code == 0
    assert started.options == {}
    ((urls, gateways, thresholds, _),) = started.calls
    assert (urls, gateways, thresholds) == ((URL,), 0, [])


def test_every_option_is_read(started: Started) -> None:
    arguments = {
        "--clients": ("5", "clients", 5),
        "--channels": ("2", "channels", 2),
        "--publishers": ("3", "publishers", 3),
        "--rate": ("1200/min", "rate", 20.0),
        "--size": ("64", "size", 64),
        "--duration": ("2m", "duration", 120.0),
        "--warm-up": ("0", "warm_up", 0.0),
        "--settle": ("500ms", "settle", 0.5),
        "--drain": ("1.5", "drain", 1.5),
        "--connect-rate": ("50/s", "connect_rate", 50.0),
        "--connect-timeout": ("3s", "connect_timeout", 3.0),
        "--churn": ("10/s", "churn", 10.0),
        "--slow": ("1%", "slow", 0.01),
        "--hears": ("all", "hears", "all"),
        "--knee": ("50ms", "knee", 0.05),
        "--workers": ("2", "workers", 2),
        "--source-address": ("127.0.0.2", "source_addresses", ("127.0.0.2",)),
        "--pid": ("1", "pids", (1,)),
        "--redis": ("redis://h", "redis_url", "redis://h"),
        "--json": ("a.json", "json_file", Path("a.json")),
        "--report": ("a.html", "report_file", Path("a.html")),
        "--url-template": ("{url}/{channel}", "url_template", "{url}/{channel}"),
        "--subscribe-frame": ("hi", "subscribe_frame", ("hi",)),
        "--publish-frame": ("<{payload}>", "publish_frame", "<{payload}>"),
        "--ready-frame": ("^ok", "ready_frame", "^ok"),
        "--answer-frame": ("^a => => b", "answer_frame", (("^a", "=> b"),)),
        "--ignore-frame": ("^news", "ignore_frame", ("^news",)),
        "--header": ("Cookie: a: b", "header", (("Cookie", "a: b"),)),
        "--profile": ("echo", "profile", "echo"),
    }
    words = [word for option, (text, _, _) in arguments.items() for word in (option, text)]
    result = invoke("loadtest", URL, *words, "--reconnect")
    assert result.exit_code == 0, result.output
    assert started.options == {name: value for _, name, value in arguments.values()} | {"reconnect": True}


def test_options_that_may_be_given_several_times_are(started: Started) -> None:
    words = ["--subscribe-frame", "a", "--subscribe-frame", "b", "--fail-if", "p99>1s", "--fail-if", "lost>0"]
    assert invoke("loadtest", URL, "ws://127.0.0.1:2", *words).exit_code == 0
    ((urls, _, thresholds, options),) = started.calls
    assert len(urls) == len(thresholds) == 2
    assert options["subscribe_frame"] == ("a", "b")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("ws://h:8000", "ws://h:8000"),
        ("wss://h", "wss://h"),
        ("http://h:8000/", "ws://h:8000"),
        ("https://h/base/", "wss://h/base"),
        ("ws://[::1]:80", "ws://[::1]:80"),
    ],
)
def test_a_url_may_be_written_as_people_do(started: Started, given: str, read: str) -> None:
    assert invoke("loadtest", given).exit_code == 0
    assert started.calls[0][0] == (read,)


def test_gateways_may_be_started_instead(started: Started) -> None:
    assert invoke("loadtest", "--gateways", "2").exit_code == 0
    assert started.calls[0][:2] == ((), 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "URL of at least one server, or --gateways N"),
        ([URL, "--gateways", "1"], "not both"),
        (["--gateways", "0"], "'--gateways': 0 is not in the range x>=1"),
        (["--gateways", "1", "--pid", "1"], "leave out --pid and --redis"),
        (["--gateways", "1", "--redis", "redis://h"], "leave out --pid and --redis"),
        (["h:8000"], "must look like ws://host:8000 or wss://host"),
        (["ftp://h"], "must look like ws://host:8000 or wss://host"),
        (["ws://h?a=b"], "must look like ws://host:8000 or wss://host"),
        (["ws://"], "must look like ws://host:8000 or wss://host"),
        (["ws://h:99999"], "ws://h:99999"),
        ([URL, "--profile", "nosuch"], "'--profile': 'nosuch' is not one of 'broadcast', 'rooms'"),
        ([URL, "--clients", "-1"], "'--clients': -1 is not in the range x>=0"),
        ([URL, "--channels", "0"], "'--channels': 0 is not in the range x>=1"),
        ([URL, "--workers", "0"], "'--workers': 0 is not in the range x>=1"),
        ([URL, "--size", "47"], "'--size': 47 is not in the range 48<=x<=1048576"),
        ([URL, "--rate", "fast"], "'--rate': 'fast' is not a rate: a number per second or minute"),
        ([URL, "--rate", "-1"], "'--rate': '-1' is not a rate"),
        ([URL, "--connect-rate", "0"], "'--connect-rate': '0' is too little: at least 0.1"),
        ([URL, "--duration", "soon"], "'--duration': 'soon' is not a duration"),
        ([URL, "--drain", "1 year"], "'--drain': '1 year' is not a duration"),
        ([URL, "--slow", "1"], "'--slow': '1' is not a share: 0% to 100%"),
        ([URL, "--slow", "101%"], "'--slow': '101%' is not a share"),
        ([URL, "--hears", "some"], "'--hears': 'some' is not one of 'others', 'all', 'nothing'"),
        ([URL, "--fail-if", "p99"], "--fail-if"),
        ([URL, "--ready-frame", "("], "'--ready-frame': '(' is no regular expression"),
        ([URL, "--ignore-frame", "["], "'--ignore-frame': '[' is no regular expression"),
        ([URL, "--answer-frame", "a"], "must look like 'REGEX => FRAME'"),
        ([URL, "--answer-frame", " => b"], "must look like 'REGEX => FRAME'"),
        ([URL, "--answer-frame", "( => b"], "'--answer-frame': '(' is no regular expression"),
        ([URL, "--header", "no colon"], "must look like 'Name: value'"),
        ([URL, "--header", "X: a\r\nY: b"], "--header"),
        ([URL, "--nosuch"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_names_the_option_and_what_is_allowed(started: Started, arguments: list[str], words: str) -> None:
    result = invoke("loadtest", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("\n", " ").split())
    assert started.calls == []


def test_the_help_lists_profiles_and_exit_codes() -> None:
    result = invoke("loadtest", "--help")
    assert result.exit_code == 0
    for name, profile in PROFILES.items():
        assert f"{name:<10} {profile.meaning[:20]}" in result.stdout
    assert "Exit codes: 0" in result.stdout


def test_the_command_is_listed() -> None:
    assert "loadtest   Put a load on gateways" in invoke("--help").stdout
