"""The JavaScript client, as every gateway serves it, and as npm packs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

import relay
from tests.conftest import EmbeddedFactory
from tests.harness.forked_process import ROOT
from tests.web.test_demo import fetch

FOLDER = ROOT / "relay/web/client"
MODULES = sorted(path.name for path in FOLDER.glob("*.js"))


@pytest.mark.parametrize("demo", ["on", "off"])
async def test_pages_of_any_site_may_load_it(embedded: EmbeddedFactory, demo: str) -> None:
    """Also where there is no playground, and where only some sites may use the relay: the files are public."""
    (gateway,) = await embedded(1, demo=demo, allowed_origins=("https://app.example.com",))
    for name in [*MODULES, "relay-client.d.ts"]:
        response, body = await fetch(gateway.port, f"/client/{name}", headers={"Origin": "https://elsewhere.example"})
        assert response.status == 200
        assert body == (FOLDER / name).read_bytes()
        assert response.content_type == ("text/plain" if name.endswith(".ts") else "text/javascript")
        assert response.charset == "utf-8"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-cache"
        known = {"If-None-Match": response.headers["ETag"], "Origin": "https://elsewhere.example"}
        again, nothing = await fetch(gateway.port, f"/client/{name}", headers=known)
        assert (again.status, nothing) == (304, b"")
        assert again.headers["Access-Control-Allow-Origin"] == "*"
    for name in ("package.json", "README.md", "nothing.js", ""):
        response, _ = await fetch(gateway.port, f"/client/{name}")
        assert response.status == 404


def test_it_needs_nothing_but_its_own_files() -> None:
    """So a copy of the folder is enough."""
    imported = {name for module in MODULES for name in re.findall(r'from "([^"]+)"', (FOLDER / module).read_text())}
    assert imported == {
        "./addresses.js",
        "./events.js",
        "./inquiry.js",
        "./outbox.js",
        "./request.js",
        "./token.js",
        "./websocket.js",
    }
    assert not re.search(r"\bwindow\.", "".join((FOLDER / module).read_text() for module in MODULES))


def test_its_types_name_all_that_is_public() -> None:
    types = (FOLDER / "relay-client.d.ts").read_text()
    source = (FOLDER / "relay-client.js").read_text()
    exported = re.findall(r"^export (?:class|function) (\w+)", source, re.MULTILINE)
    assert exported == ["comesBack", "RelayClient"]
    members = re.findall(r"^  (?:get )?(\w+)\(.*\) \{$", source.partition("export class")[2], re.MULTILINE)
    options = re.findall(r"^      (\w+) = ", source.partition("constructor(")[2].partition("} = {}")[0], re.MULTILINE)
    assert {"onMessage", "since"} < set(options)
    assert {"start", "state", "send"} < set(members)
    for name in [*exported, *members, *options]:
        assert re.search(rf"\b{name}\b", types), name


def test_the_package_has_the_version_of_the_relay() -> None:
    package = json.loads((FOLDER / "package.json").read_text())
    assert package["version"] == relay.__version__
    assert package["type"] == "module"
    assert package["files"] == sorted([*MODULES, "relay-client.d.ts"])
    assert package["sideEffects"] is False
    assert (
        "engines" not in package
    )  # most of its users are browsers: npm would complain of the Node that builds their page


@pytest.fixture(scope="module")
def npm() -> None:
    """Skip the test where there is no npm, or no registry for it."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here")


@pytest.mark.usefixtures("npm")
def test_npm_packs_it(tmp_path: Path) -> None:
    """`make client` does; nothing is published."""
    made = subprocess.run(
        ["make", "--no-print-directory", "client", f"DIST={tmp_path}"], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    packed = tmp_path / f"relay-client-{relay.__version__}.tgz"
    assert str(packed) in made.stdout
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    assert names == {"LICENSE", "README.md", "package.json", "relay-client.d.ts", *MODULES}
