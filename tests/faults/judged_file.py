"""Judge the history in a file: what `python -m tests.faults --judge FILE` does."""

from __future__ import annotations

from pathlib import Path

import click

from tests.faults.history_file import read_history
from tests.faults.judge import judge
from tests.faults.report import report


def judge_file(path: Path) -> int:
    """Judge a recorded run, say what came of it, and return the exit code: 0 when it kept all promises, else 1."""
    try:
        history = read_history(path)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    verdict = judge(history)
    for line in report(history, verdict):
        click.echo(line)
    return 0 if verdict else 1
