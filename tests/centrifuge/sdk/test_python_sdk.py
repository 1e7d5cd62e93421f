"""The official SDK for Python survives all faults; it needs nothing but Python, so it is tried all the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.centrifuge.sdk.cluster import Cluster
from tests.centrifuge.sdk.driven import DrivenProcess
from tests.centrifuge.sdk.scenario import Scenario
from tests.centrifuge.sdk.sdks import PYTHON


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_sdk_ends_up_with_everything(form: str, cluster: Cluster, tmp_path: Path) -> None:
    """Connected, recovered, without a loss or a double."""
    with DrivenProcess(PYTHON, cluster.url, form, tmp_path / "log") as client:
        Scenario(client, cluster).play()
