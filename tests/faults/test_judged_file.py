"""Histories in files, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import click
import pytest

from tests.faults.history_file import read_history, write_history
from tests.faults.judged_file import judge_file
from tests.faults.model.run import ModelRun
from tests.faults.mutations import Spots
from tests.faults.mutations.deliveries import lost
from tests.faults.operations import Setup


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = ModelRun(1, 300).history
    write_history(tmp_path / "run.jsonl", history)
    assert read_history(tmp_path / "run.jsonl") == history


def test_a_line_that_is_no_operation_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write_history(path, [Setup(at=1.0, seed=1, channels={}, gateways=1)])
    path.write_text(path.read_text() + '{"type":"Nonsense"}\n')
    with pytest.raises(click.ClickException, match=r"line 2 of .* is no operation"):
        judge_file(path)
    with pytest.raises(click.ClickException, match="No such file"):
        judge_file(tmp_path / "missing")


def test_of_a_good_run_it_says_what_was_survived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.jsonl"
    write_history(path, ModelRun(7, 6000).history)
    assert judge_file(path) == 0
    said = capsys.readouterr().out
    assert "seed 7: 3 gateways, 3 channels (1 history, 1 positions, 1 plain)" in said
    assert "\n0 deliveries missed that nobody was told of\n" in said
    assert "faults: link cut" in said
    assert said.endswith("all promises were kept\n")


def test_of_a_broken_rule_it_shows_the_operations_that_prove_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    mutated = lost(Spots(ModelRun(1, 500).history), Random(1))
    assert mutated is not None
    write_history(path, mutated[0])
    assert judge_file(path) == 1
    said = capsys.readouterr().out
    assert "\n1 deliveries missed that nobody was told of\n" in said
    assert "BROKEN: rule 3, who lacks a message is told before it sees a later one: once\n  session " in said
    (shortest,) = (line for line in said.splitlines() if line.startswith("The first "))
    last = int(shortest.split()[2]) - 1
    assert any(line.startswith("*") and f" {last} " in line for line in said.splitlines())
