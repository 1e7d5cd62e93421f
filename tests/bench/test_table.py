"""What a comparison prints and writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.compare.comparison import AFTER, BEFORE, Comparison
from bench.compare.table import notes, print_table, write_json

from .readings import COST, RATE, comparison, reading

ROWS = [comparison(COST, (10, 12), (11, 12), (14, 10)), comparison(RATE, (1000, 1000))]


def test_a_row_has_spread_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, "the machine", None)
    output = capsys.readouterr().out
    assert "the machine" in output
    for cell in ("10.00 / 11.00 / 14.00", "10.00 / 12.00 / 12.00", "1.091", "2 of 3", "0/0/0 | 0/0/0"):
        assert cell in output
    assert "pass" not in output


def test_a_limit_brings_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, "the machine", 1.03)
    output = capsys.readouterr().out
    assert "FAIL" in output
    assert "pass" in output


def test_what_makes_a_figure_doubtful_is_noted() -> None:
    row = Comparison(COST)
    row.add({BEFORE: replace(reading(1), stolen=0.5), AFTER: replace(reading(1), flaw="late", client_cpu=0.95)})
    assert notes(row) == ["before: others held up 1 of 1 runs", "after: late", "after: clients and Redis were busy"]
    assert not notes(ROWS[0])


def test_the_file_has_everything(tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    write_json(ROWS, "the machine", {BEFORE: "1234567 Old", AFTER: "the working tree"}, file)
    content = json.loads(file.read_text())
    assert content["sides"] == {"before": "1234567 Old", "after": "the working tree"}
    cost, rate = content["figures"]
    assert [reading["value"] for reading in cost["after"]] == [12, 12, 10]
    assert (cost["worse_pairs"], len(cost["pair_ratios"]), rate["pair_ratio"]) == (2, 3, 1.0)
