"""The wheel: complete, and independent of the checkout. The source distribution: all that a checkout has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

import relay

ROOT = Path(__file__).resolve().parents[1]

HAS_COMPILER = shutil.which("cc") is not None

needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler here")

REASONS = {"no-such-compiler": "there is no C compiler, no-such-compiler", "false": "false has failed"}
"""Why something can't be compiled, by the name of the compiler."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_name_and_the_version_are_those_of_the_package(wheel: Path) -> None:
    """The version stands in one place. With what was compiled it is a wheel of this platform, for each Python."""
    platform = re.sub(r"\W", "_", sysconfig.get_platform()) if HAS_COMPILER else "any"
    assert wheel.name == f"relay_pubsub-{relay.__version__}-py3-none-{platform}.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert ("relay/fan_out/native.so.1" in archive.namelist()) == HAS_COMPILER


def test_the_name_that_users_are_told_to_install_is_this_one() -> None:
    """A name that is only nearly right would install a program of another project."""
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "relay").rglob("*.py")]
    told = {found for page in pages for found in re.findall(r"pip install '?([a-z][\w.-]*)\[", page.read_text())}
    assert told == {name}


def test_every_file_of_the_package_is_in_it_and_nothing_else(wheel: Path) -> None:
    """Types, templates and all, and the documents; no tests."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "relay").rglob("*") if path.is_file()}
    documents = {f"relay/docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert packed == {name for name in files if "__pycache__" not in name} | documents
    assert "relay/py.typed" in packed


def test_it_brings_the_command_the_licence_and_its_needs(wheel: Path) -> None:
    """What an installer reads."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" in name]
        texts = {name.rpartition("/")[2]: archive.read(name).decode() for name in names}
    assert "relay = relay.cli:main" in texts["entry_points.txt"]
    assert "MIT License" in texts["LICENSE"]
    metadata = texts["METADATA"]
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "Provides-Extra: uvloop" in metadata
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert metadata.count("Requires-Dist:") >= len(needs)


def test_it_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """From a folder of its own."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    for code in ("-m relay --version", "-m relay serve --help", "-m relay config"):
        process = subprocess.run(
            [sys.executable, *code.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        )
        assert process.stdout
    where = [sys.executable, "-c", "import relay.gateway; print(relay.gateway.__file__)"]
    process = subprocess.run(where, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert process.stdout.startswith(str(tmp_path))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this checkout, built without network and unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.tar.gz")
    # Not by `tarfile`: it has no filter before Python 3.11.4, and warns where there is none since 3.12.
    subprocess.run(["tar", "--extract", "--file", built, "--directory", folder], check=True)
    return folder / built.name.removesuffix(".tar.gz")


@pytest.mark.parametrize("hook", ["build_wheel", "build_editable"])
@pytest.mark.parametrize("compiler", [pytest.param("cc", marks=needs_compiler), "no-such-compiler", "false"])
def test_what_can_be_compiled_is_compiled_and_else_left_out_with_a_line(
    unpacked: Path, tmp_path: Path, hook: str, compiler: str
) -> None:
    """From a source distribution as from a checkout; by what pip calls, for `pip install` and for `pip install -e`."""
    build = [sys.executable, "-c", f"import hatchling.build, sys; hatchling.build.{hook}(sys.argv[1])", str(tmp_path)]
    environment = {**os.environ, "CC": compiler}
    library = unpacked / "relay/fan_out/native.so.1"
    done = subprocess.run(build, cwd=unpacked, check=True, capture_output=True, text=True, env=environment)
    (built,) = tmp_path.glob("*.whl")
    said = [line for line in (done.stdout + done.stderr).splitlines() if "native.so.1" in line]
    if compiler == "cc":
        assert library.exists()
        assert built.name.endswith("-any.whl") == (hook == "build_editable")  # which holds no file of the package
        assert said == []
    else:
        assert not library.exists()
        assert built.name.endswith("-py3-none-any.whl")
        (line,) = said
        assert f"left out, clients are written to by Python: {REASONS[compiler]}" in line


def test_every_link_of_the_documentation_leads_to_something(unpacked: Path) -> None:
    """In the source distribution as in the checkout."""
    pages = [*unpacked.glob("*.md"), *unpacked.glob("docs/*.md"), *unpacked.glob("deploy/*.md")]
    assert {"README.md", "CHANGELOG.md", "api.md"} <= {page.name for page in pages}
    links = {(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())}
    local = {(page, link) for page, link in links if "://" not in link and not link.startswith("mailto:")}
    assert len(local) > 20
    assert sorted(str(link) for page, link in local if not (page.parent / link).exists()) == []


def test_every_file_that_a_test_reads_is_in_the_source_distribution(unpacked: Path) -> None:
    """They name them below the folder of the project."""
    named = {
        path
        for test in (ROOT / "tests").rglob("*.py")
        for path in re.findall(r'\bROOT / "([^"{}]+)"', test.read_text())
    }
    assert {"README.md", "docs/operations.md"} <= named
    assert (
        sorted(
            path for path in named - {".git", ".venv-sdk"} if (ROOT / path).exists() and not (unpacked / path).exists()
        )
        == []
    )


def test_all_that_is_under_version_control_is_in_the_source_distribution(unpacked: Path) -> None:
    """Where there is a repository to compare it with."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    assert sorted(name for name in tracked if not (unpacked / name).exists()) == []
