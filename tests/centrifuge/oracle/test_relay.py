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
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer

AT_ONCE = 32
"""Some scripts wait for seconds, and the others need not wait for these."""

BUSES = ("memory", "Redis")

Played = dict[tuple[str, str], Transcripts]
"""Theme and name of a script → what was heard."""


@pytest.fixture(scope="module")
def played(redis_server: RedisServer) -> dict[str, Played]:
    """What gateways of the relay answer to all scripts, by bus: all at once, as some scripts wait for half a minute."""
    urls = {"memory": "memory://", "Redis": redis_server.url}
    gateways = {bus: {name: start_relay(setup, urls[bus]) for name, setup in SETUPS.items()} for bus in BUSES}
    all_of_them = [gateway for named in gateways.values() for gateway in named.values()]
    try:
        for gateway in all_of_them:
            gateway.start_blocking()
        return asyncio.run(_play_on_all(gateways))
    finally:
        end(all_of_them)


async def _play_on_all(gateways: dict[str, dict[str, GatewayProcess]]) -> dict[str, Played]:
    servers = [{name: server_of(gateway) for name, gateway in named.items()} for named in gateways.values()]
    return dict(zip(gateways, await asyncio.gather(*map(_play_all, servers)), strict=True))


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


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("theme", THEMES)
def test_answers_as_centrifugo_does(theme: str, bus: str, played: dict[str, Played]) -> None:
    """In all scripts of a theme."""
    expected, heard = recorded(theme), played[bus]
    wrong = {}
    for script in THEMES[theme]:
        found = deviations(expected[script.name], heard[theme, script.name])
        if lines := judge(f"{theme}/{script.name}", found):
            wrong[script.name] = lines
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
