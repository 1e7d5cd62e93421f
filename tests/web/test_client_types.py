"""The types of the JavaScript client, as a TypeScript compiler judges them, and the code of its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import code_blocks, table_below, text_of
from tests.harness.forked_process import ROOT

PAGE = "docs/clients.md"
FOLDER = ROOT / "relay/web/client"
INSTALLED = ".venv-sdk/typescript"


@pytest.fixture
def tsc() -> str:
    """A compiler; the test is skipped where there is none."""
    found = shutil.which("tsc") or shutil.which("tsc", path=str(ROOT / INSTALLED / "node_modules/.bin"))
    if found is None:
        pytest.skip(f"no TypeScript here: npm install --prefix {INSTALLED} typescript")
    return found


def test_applications_are_told_what_they_do_wrong_and_nothing_else(tsc: str, tmp_path: Path) -> None:
    """Of an application of the tests, and of the example in the documentation."""
    shutil.copytree(FOLDER, tmp_path / "node_modules/relay-client")
    shutil.copy(ROOT / "tests/web/client/usage.ts", tmp_path)
    (example,) = code_blocks(PAGE, "ts")
    (tmp_path / "example.ts").write_text(example)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "nodenext",
        "lib": ["es2022", "dom"],
        "types": [],
    }
    (tmp_path / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["usage.ts", "example.ts"]})
    )
    compiled = subprocess.run([tsc], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (compiled.returncode, compiled.stdout) == (0, "")


def test_the_page_names_the_options_and_methods_that_there_are() -> None:
    types = (FOLDER / "relay-client.d.ts").read_text()
    options = types.partition("interface Options {")[2].partition("\n}")[0]
    in_the_table = {re.findall(r"\w+", row[0])[0] for row in table_below(PAGE, "| option |")}
    assert in_the_table == set(re.findall(r"^  (\w+)\?", options, re.MULTILINE))
    members = types.partition("class RelayClient {")[2].partition("\n}")[0]
    public = set(re.findall(r"^  (?:readonly )?(\w+)[(:]", members, re.MULTILINE)) - {"constructor"}
    assert public <= set(re.findall(r"`(\w+)", text_of(PAGE)))


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_the_code_of_the_page_can_be_read() -> None:
    for code in [*code_blocks(PAGE, "js"), *code_blocks("docs/fallbacks.md", "js")]:
        read = subprocess.run(
            ["node", "--check", "--input-type=module", "-"], input=code, capture_output=True, text=True, timeout=60
        )
        assert read.returncode == 0, read.stderr
