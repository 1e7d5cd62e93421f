"""Both sides are copies that are gone at the end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.compare.sides import NoSuchSide, confirm, sides


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, cli: str) -> None:
    """Write a package that can be imported."""
    (folder / "relay").mkdir(exist_ok=True)
    (folder / "relay" / "__init__.py").write_text("")
    (folder / "relay" / "cli.py").write_text(cli)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two commits, and a change in the working tree."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    for cli in ("old = 1", "new = 1"):
        write(tmp_path, cli)
        (tmp_path / "other.txt").write_text(cli)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", f"Say {cli}")
    write(tmp_path, "changed = 1")
    (tmp_path / "relay" / "added.py").write_text("")
    return tmp_path


def test_one_side_is_the_commit_and_the_other_the_working_tree(repository: Path) -> None:
    with sides("HEAD~1", repository) as (before, after):
        assert (before.folder / "relay" / "cli.py").read_text() == "old = 1"
        assert (after.folder / "relay" / "cli.py").read_text() == "changed = 1"
        assert (after.folder / "relay" / "added.py").exists()
        assert {path.name for folder in (before, after) for path in folder.folder.iterdir()} == {"relay"}
        assert before.title.endswith(" Say old = 1")
        assert before.title.startswith(git(repository, "rev-parse", "--short", "HEAD~1"))
        assert after.title.startswith("the working tree: ")
        assert after.title.endswith(" Say new = 1 with changes")


def test_both_copies_are_removed_and_the_repository_is_as_it_was(repository: Path) -> None:
    status = git(repository, "status", "--porcelain")
    with pytest.raises(KeyboardInterrupt), sides("HEAD", repository) as (before, after):
        raise KeyboardInterrupt
    assert not before.folder.parent.exists()
    assert not after.folder.parent.exists()
    assert git(repository, "status", "--porcelain") == status
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_working_tree_without_changes_says_so(repository: Path) -> None:
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "Keep it")
    with sides("HEAD", repository) as (_, after):
        assert after.title.endswith(" Keep it")


@pytest.mark.parametrize("revision", ["nothing", "--all", "HEAD:relay", ""])
def test_an_unknown_revision_is_named(repository: Path, revision: str) -> None:
    with pytest.raises(NoSuchSide, match="git knows no commit") as raised, sides(revision, repository):
        pass
    assert repr(revision) in str(raised.value)


def test_a_commit_without_the_package_is_refused(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--orphan", "empty")
    git(repository, "rm", "--quiet", "-r", "-f", ".")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "Nothing")
    git(repository, "checkout", "--quiet", "--force", "main")
    with pytest.raises(NoSuchSide, match="git archive"), sides("empty", repository):
        pass


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSuchSide, match="not a git repository"), sides("HEAD", tmp_path):
        pass


def test_a_package_that_cant_be_imported_is_refused(repository: Path) -> None:
    write(repository, "import relay.nothing")
    with pytest.raises(NoSuchSide, match="after: ModuleNotFoundError"), sides("HEAD", repository):
        pass


def test_a_process_that_would_import_another_package_is_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed one would be measured instead, twice, and no difference be found."""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with pytest.raises(NoSuchSide, match="would run"):
        confirm(repository)


def test_each_module_has_bytecode_so_that_no_gateway_needs_to_write_it(repository: Path) -> None:
    with sides("HEAD", repository) as copies:
        for copy in copies:
            package = copy.folder / "relay"
            compiled = {path.name.partition(".")[0] for path in (package / "__pycache__").iterdir()}
            assert compiled == {path.stem for path in package.glob("*.py")}
