"""The relay answers as Centrifugo has answered, on each bus, and differs where it is meant to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.centrifuge.oracle.comparison import deviations, judge
from tests.centrifuge.oracle.differences import DIFFERENCES
from tests.centrifuge.oracle.player import play
from tests.centrifuge.oracle.recording import Transcripts, recorded
from tests.centrifuge.oracle.relay_server import server_of, start_relay
from tests.centrifuge.oracle.script import Script
from tests.centrifuge.oracle.scripts import THEMES
from tests.centrifuge.oracle.server import Server
from tests.centrifuge.oracle.setups import SETUPS
from tests.harness.gateway_process import end
from tests.harness.redis_server import RedisServer

AT_ONCE = 8


@pytest.fixture(scope="module", params=["memory", "Redis"])
def servers(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[dict[str, Server]]:
    """Gateways with all setups."""
    urls = {"memory": "memory://", "Redis": redis_server.url}
    gateways = {name: start_relay(setup, urls[request.param]) for name, setup in SETUPS.items()}
    try:
        for gateway in gateways.values():
            gateway.start_blocking()
        yield {name: server_of(gateway) for name, gateway in gateways.items()}
    finally:
        end(gateways.values())


@pytest.mark.parametrize("theme", THEMES)
async def test_answers_as_centrifugo_does(theme: str, servers: dict[str, Server]) -> None:
    """All scripts of a theme; they are played at once, as some take seconds of waiting."""
    expected = recorded(theme)
    turns = asyncio.Semaphore(AT_ONCE)

    async def verdict(script: Script) -> list[str]:
        async with turns:
            heard: Transcripts = {form: await play(script, servers[script.setup], form) for form in script.formats}
        return judge(f"{theme}/{script.name}", deviations(expected[script.name], heard))

    verdicts = await asyncio.gather(*map(verdict, THEMES[theme]))
    wrong = {script.name: lines for script, lines in zip(THEMES[theme], verdicts, strict=True) if lines}
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
