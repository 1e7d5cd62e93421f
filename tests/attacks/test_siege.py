"""What a siege reads from the machine."""

from pathlib import Path

from tests.attacks.siege import autogroup_niceness


def test_the_niceness_of_a_session_is_read(tmp_path: Path) -> None:
    file = tmp_path / "autogroup"
    file.write_text("/autogroup-12 nice -5\n")
    assert autogroup_niceness(file) == "-5"


def test_a_kernel_that_groups_by_nothing_tells_no_niceness(tmp_path: Path) -> None:
    empty = tmp_path / "autogroup"
    empty.write_text("")
    assert autogroup_niceness(empty) is None
    assert autogroup_niceness(tmp_path / "missing") is None
