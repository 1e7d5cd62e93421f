"""The relay answers as Centrifugo has answered, on each bus, and differs where it is meant to."""

from __future__ import annotations

import asyncio

import pytest

from tests.centrifuge.oracle.comparison import deviations, judge
from tests.centrifuge.oracle.differences import DIFFERENCES
from tests.centrifuge.oracle.player import Transcript, play
from tests.centrifuge.oracle.recording import Transcripts, recorded
from tests.centrifuge.oracle.relay_server import server_of, start_relay
from tests.centrifuge.oracle.script import FormatName, Script
from tests.centrifuge.oracle.scripts import THEMES
from tests.centrifuge.oracle.server import Server
from tests.centrifuge.oracle.setups import SETUPS
from tests.harness.gateway_process import end
from tests.harness.redis_server import RedisServer

AT_ONCE = 32
"""Some scripts wait for seconds, and the others need not wait for these."""

Played = dict[tuple[str, str], Transcripts]


@pytest.fixture(scope="module", params=["memory", "Redis"])
def played(request: pytest.FixtureRequest, redis_server: RedisServer) -> Played:
    """What gateways of the relay answer to all scripts, by theme and name."""
    urls = {"memory": "memory://", "Redis": redis_server.url}
    gateways = {name: start_relay(setup, urls[request.param]) for name, setup in SETUPS.items()}
    try:
        for gateway in gateways.values():
            gateway.start_blocking()
        return asyncio.run(_play_all({name: server_of(gateway) for name, gateway in gateways.items()}))
    finally:
        end(gateways.values())


async def _play_all(servers: dict[str, Server]) -> Played:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(script: Script, form: FormatName) -> Transcript:
        async with turns:
            return await play(script, servers[script.setup], form)

    async def both(script: Script) -> Transcripts:
        transcripts = await asyncio.gather(*(one(script, form) for form in script.formats))
        return dict(zip(script.formats, transcripts, strict=True))

    named = {(theme, script.name): script for theme, scripts in THEMES.items() for script in scripts}
    slow_first = sorted(named, key=lambda name: not named[name].slow)
    return dict(zip(slow_first, await asyncio.gather(*(both(named[name]) for name in slow_first)), strict=True))


@pytest.mark.parametrize("theme", THEMES)
def test_answers_as_centrifugo_does(theme: str, played: Played) -> None:
    """In all scripts of a theme."""
    expected = recorded(theme)
    wrong = {
        script.name: lines
        for script in THEMES[theme]
        if (lines := judge(f"{theme}/{script.name}", deviations(expected[script.name], played[theme, script.name])))
    }
    text = "\n".join(f"{name}\n    " + "\n    ".join(lines) for name, lines in wrong.items())
    assert not wrong, f"{len(wrong)} of {len(THEMES[theme])} scripts of {theme}:\n{text}"


def test_each_script_has_been_recorded() -> None:
    """`make oracle ARGS=--record` does it."""
    for theme, scripts in THEMES.items():
        assert list(recorded(theme)) == [script.name for script in scripts], theme


def test_differences_name_scripts_that_there_are() -> None:
    """One whose script has another name now would say nothing."""
    names = {f"{theme}/{script.name}" for theme, scripts in THEMES.items() for script in scripts}
    for difference in DIFFERENCES:
        assert set(difference.scripts) <= names, difference
