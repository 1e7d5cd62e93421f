"""Inject random faults, and account for every message: python -m tests.faults."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import click

from tests.faults.history_file import write_history
from tests.faults.judge import judge
from tests.faults.judged_file import judge_file
from tests.faults.load import LOADS
from tests.faults.report import report
from tests.faults.run import Run, run
from tests.harness.environment import neutralize


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=60.0, help="How long faults are injected.")
@click.option("--seed", type=int, help="Chooses the faults; any without it.")
@click.option("--load", type=click.Choice(list(LOADS)), default="small", help="How many clients and messages.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Leave history and logs here.")
@click.option("--judge", "judged", type=click.Path(dir_okay=False, path_type=Path), help="Judge a history again.")
def main(seconds: float, seed: int | None, load: str, folder: Path | None, judged: Path | None) -> None:
    """Inject random faults, and account for every message.

    The exit code is 1 when the relay did not keep what it promises, or too little happened to tell.
    """
    if judged is not None:
        raise SystemExit(judge_file(judged))
    neutralize()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    seed = secrets.randbelow(2**32) if seed is None else seed
    click.echo(f"seed {seed}, load {load}")
    outcome = asyncio.run(run(seconds, seed, LOADS[load], folder=folder, tell=click.echo))
    if folder is not None:
        write_history(folder / "history.jsonl", outcome.history)
    raise SystemExit(_tell(outcome))


def _tell(outcome: Run) -> int:
    """Say what came of a run, and return the exit code."""
    verdict = judge(outcome.history)
    for line in report(outcome.history, verdict):
        click.echo(line)
    for line in outcome.trouble:
        click.echo(f"TROUBLE: {line}")
    return 0 if verdict and not outcome.trouble else 1


if __name__ == "__main__":
    main()
