"""Plays all scripts against Centrifugo: says where its recorded answers are out of date, or records them anew."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack

import click

from tests.centrifuge.oracle.centrifugo import CentrifugoProcess, find_centrifugo, install_centrifugo, version_of
from tests.centrifuge.oracle.comparison import deviations
from tests.centrifuge.oracle.player import play
from tests.centrifuge.oracle.recording import Transcripts, record, record_version, recorded, recorded_version
from tests.centrifuge.oracle.script import Script
from tests.centrifuge.oracle.scripts import THEMES
from tests.centrifuge.oracle.server import Server
from tests.centrifuge.oracle.setups import SETUPS

AT_ONCE = 12


@click.command()
@click.option("--record", "write", is_flag=True, help="Write what it answers.")
@click.argument("themes", nargs=-1, type=click.Choice(list(THEMES)))
def main(write: bool, themes: tuple[str, ...]) -> None:
    """Play the scripts of some THEMES, or all, against the real Centrifugo."""
    if find_centrifugo() is None:
        click.echo("installing Centrifugo, which Go compiles: that takes minutes")
        problem = install_centrifugo()
        if problem is not None:
            raise click.ClickException(f"there is no Centrifugo here: {problem}")
    program = find_centrifugo()
    assert program is not None
    stale = []
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(CentrifugoProcess(program, setup)).server for name, setup in SETUPS.items()
        }
        for theme in themes or THEMES:
            transcripts = asyncio.run(_played(THEMES[theme], servers))
            stale += _told(theme, transcripts)
            if write:
                record(theme, transcripts)
    if write:
        record_version(version_of())
    elif stale or version_of() != recorded_version():
        click.echo(f"recorded: Centrifugo {recorded_version()}; played: {version_of()}")
    click.echo(f"{len(stale)} scripts are answered otherwise than recorded{', which is renewed' if write else ''}")
    sys.exit(bool(stale) and not write)


def _told(theme: str, transcripts: dict[str, Transcripts]) -> list[str]:
    """Tell which scripts of a theme are answered otherwise than recorded, and return their names."""
    before = recorded(theme)
    stale = [name for name in before | transcripts if before.get(name) != transcripts.get(name)]
    for name in stale:
        click.echo(f"{theme}/{name}")
        for deviation in deviations(before.get(name, {}), transcripts.get(name, {})):
            click.echo(f"    {deviation.path}: recorded {deviation.theirs!r}, now {deviation.ours!r}")
    return stale


async def _played(scripts: tuple[Script, ...], servers: dict[str, Server]) -> dict[str, Transcripts]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(script: Script) -> Transcripts:
        async with turns:
            transcripts: Transcripts = {
                form: await play(script, servers[script.setup], form) for form in script.formats
            }
        missing = [form for form, heard in transcripts.items() if any("missing" in entry for entry in heard)]
        if missing:
            raise click.ClickException(f"{script.name}: what the script waits for doesn't come: {transcripts}")
        return transcripts

    results = await asyncio.gather(*map(one, scripts))
    return {script.name: transcripts for script, transcripts in zip(scripts, results, strict=True)}


if __name__ == "__main__":
    main()
