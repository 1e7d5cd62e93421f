"""The official SDKs for JavaScript and Go survive all faults, the former in a browser, too; `make sdk` runs these."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.centrifuge.sdk import sdks
from tests.centrifuge.sdk.cluster import Cluster
from tests.centrifuge.sdk.driven import DrivenPage, DrivenProcess
from tests.centrifuge.sdk.scenario import Scenario
from tests.harness.browser import Browser


@pytest.mark.parametrize("form", ["json", "protobuf"])
@pytest.mark.parametrize("name", sdks.DRIVERS)
def test_sdk_ends_up_with_everything(name: str, form: str, cluster: Cluster, tmp_path: Path) -> None:
    """Connected, recovered, without a loss or a double."""
    try:
        command = sdks.DRIVERS[name]()
    except sdks.NotHere as reason:
        pytest.skip(str(reason))
    with DrivenProcess(command, cluster.url, form, tmp_path / "log") as client:
        Scenario(client, cluster).play()


def test_sdk_in_a_browser_ends_up_with_everything(browser: Browser, cluster: Cluster, tmp_path: Path) -> None:
    """The same in Chromium."""
    try:
        folder = sdks.javascript()
    except sdks.NotHere as reason:
        pytest.skip(str(reason))
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>An SDK</title>")
    with browser.visiting(page.as_uri()) as view:
        for script in ("node_modules/centrifuge/dist/centrifuge.js", "conversation.js"):
            view.page.add_script_tag(path=folder / script)
        with DrivenPage(view.page, cluster.url) as client:
            Scenario(client, cluster).play()
