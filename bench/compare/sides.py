"""The two sides of a comparison: the package as it is in another commit, and as it is in the working tree."""

from __future__ import annotations

import compileall
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "relay"


class NoSuchSide(Exception):
    """A side can't be had, and why, in one line."""


@dataclass(frozen=True)
class Side:
    """One state of the package.

    Args:
        title: the commit, for people.
        folder: holds a copy of the package; what is started there imports that copy.
    """

    title: str
    folder: Path


@contextmanager
def sides(revision: str, root: Path) -> Iterator[tuple[Side, Side]]:
    """Copy the package as it is in a commit, and as it is in the working tree; remove both copies at the end.

    Both are copies, so that the working tree may change while it is measured, and so that neither side has bytecode
    of its own beforehand. The commit comes out of `git archive`: a `git worktree` would be listed in the repository,
    and would stay listed after a run that was killed.

    Args:
        revision: of git.
        root: of the repository.

    Raises:
        NoSuchSide: git doesn't know the revision, or there is no package in it.
    """
    with tempfile.TemporaryDirectory(prefix="relay-compare-") as name:
        before, after = Path(name, "before"), Path(name, "after")
        # A name that git takes for an option is no revision.
        commit = (
            git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
        )
        if not commit:
            raise NoSuchSide(f"git knows no commit {revision!r}")
        with zipfile.ZipFile(io.BytesIO(git(root, "archive", "--format=zip", commit, PACKAGE))) as archive:
            archive.extractall(before)
        shutil.copytree(root / PACKAGE, after / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        for folder in (before, after):
            confirm(folder)
        changed = " with changes" if git(root, "status", "--porcelain", "--", PACKAGE) else ""
        yield Side(title(root, commit), before), Side(f"the working tree: {title(root, 'HEAD')}{changed}", after)


def title(root: Path, revision: str) -> str:
    """Return the short hash and the subject of a commit."""
    return git(root, "log", "-1", "--format=%h %s", revision).decode().strip()


def git(root: Path, *arguments: str) -> bytes:
    """Return what git prints; nothing where `rev-parse --quiet` finds nothing.

    Raises:
        NoSuchSide: git isn't there, or fails.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=root, stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError:
        raise NoSuchSide("git is not installed") from None
    if done.returncode and done.stderr:
        raise NoSuchSide(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return done.stdout


def confirm(folder: Path) -> None:
    """Compile the bytecode of a copy, and check that a process started in its folder imports it.

    Raises:
        NoSuchSide: it imports another one, or none.
    """
    compileall.compile_dir(folder, quiet=1)
    command = [sys.executable, "-c", f"import {PACKAGE}.cli; print({PACKAGE}.__file__)"]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise NoSuchSide(f"{PACKAGE} can't be imported in {folder.name}: {done.stderr.strip().splitlines()[-1]}")
    imported = Path(done.stdout.strip()).resolve()
    if folder.resolve() not in imported.parents:
        raise NoSuchSide(f"{folder.name} would run {imported}: unset PYTHONSAFEPATH")
