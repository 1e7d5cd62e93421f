"""The servers that the relay is measured beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.peers import uwebsockets
from bench.peers.__main__ import PEERS, install
from bench.peers.table import Report
from bench.peers.uwebsockets import UWebSockets

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def test_each_has_a_name_and_a_title_of_its_own() -> None:
    assert len({peer.name for peer in PEERS}) == len({peer.title for peer in PEERS}) == len(PEERS)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_docs_say_what_each_is(peer: type[UWebSockets]) -> None:
    conditions = PAGE.read_text().partition("## Conditions")[2]
    rows = [line for line in conditions.splitlines() if line.startswith("| ")]
    assert any(peer.title.split(",")[0].split(" (")[0].split(" + Redis")[0] in row.split("|")[1] for row in rows)


def test_one_whose_source_cannot_be_had_is_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uwebsockets, "SITE", f"file://{tmp_path / 'nothing'}")
    report = Report({})
    assert install([UWebSockets], tmp_path / "cache", report) == []
    assert set(report.skipped) == {UWebSockets.title}
    assert report.skipped[UWebSockets.title].startswith("git ended with code ")
    # What is there of it is not taken for an installed one.
    assert UWebSockets(tmp_path / "cache" / UWebSockets.name).install() is not None
