"""What runs gateways elsewhere: manifests for Kubernetes, a unit for systemd, and scripts."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from relay.checks.access import authentication
from relay.checks.front import playground
from relay.checks.verdict import State
from relay.settings import Settings
from relay.settings.problem import SettingsError
from tests.checks.made_facts import facts

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ["1.31.0", "1.33.0", "1.35.0"]


def manifest(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_fits_the_schema(path: Path, version: str) -> None:
    """Strictly: a mistyped field is a mistake."""
    kubernetes_validate.validate(yaml.safe_load(path.read_text()), version, strict=True)


def test_all_manifests_are_applied() -> None:
    assert sorted(manifest("kustomization")["resources"]) == [path.name for path in MANIFESTS]


def test_everything_means_the_pods_of_the_deployment() -> None:
    spec = manifest("deployment")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert manifest("service")["spec"]["selector"] == labels
    assert manifest("disruption-budget")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("network-policy")["spec"]["podSelector"]["matchLabels"] == labels
    assert manifest("autoscaler")["spec"]["scaleTargetRef"]["name"] == manifest("deployment")["metadata"]["name"]
    assert spec["template"]["spec"]["enableServiceLinks"] is False


def test_a_pod_has_time_for_its_drain() -> None:
    data = manifest("config")["data"]
    drain = float(data["RELAY_DRAIN_DELAY"]) + float(data["RELAY_DRAIN_SECONDS"])
    pod = manifest("deployment")["spec"]["template"]["spec"]
    assert drain + 10 <= pod["terminationGracePeriodSeconds"]


def test_every_variable_is_a_setting() -> None:
    names = {f"RELAY_{name.upper()}" for name in Settings.model_fields}
    assert set(manifest("config")["data"]) <= names
    unit = (DEPLOY / "systemd" / "relay.service").read_text()
    assert set(re.findall(r"RELAY_[A-Z_]+[A-Z]", unit)) <= names


def test_the_manifests_let_in_no_client_without_a_credential() -> None:
    data = manifest("config")["data"]
    (container,) = manifest("deployment")["spec"]["template"]["spec"]["containers"]
    sources = [{kind: source["name"] for kind, source in each.items()} for each in container["envFrom"]]
    assert sources == [{"configMapRef": "relay"}, {"secretRef": "relay"}]
    assert "optional" not in container["envFrom"][1]["secretRef"], "a pod must not start without its key"
    given = {name.removeprefix("RELAY_").lower(): value for name, value in data.items()}
    with pytest.raises(SettingsError, match="RELAY_JWT_SECRET"):
        Settings(**given)
    given_facts = facts(**given, jwt_secret="x" * 64)
    assert authentication(given_facts).state is State.OK
    assert playground(given_facts).state is State.OK


def test_the_policy_says_what_to_add_for_every_server_that_a_setting_names() -> None:
    """Else it would cut the gateways off from it."""
    policy = (DEPLOY / "kubernetes" / "network-policy.yaml").read_text()
    servers = {f"RELAY_{name.upper()}" for name in Settings.model_fields if name.endswith("_url")}
    assert "RELAY_AUTH_URL" in servers
    assert servers == set(re.findall(r"RELAY_[A-Z]+_URL", policy))
    assert servers <= set(re.findall(r"RELAY_[A-Z]+_URL", _kubernetes_page()))


def test_the_page_says_what_to_change_before_it_applies_the_manifests() -> None:
    page = _kubernetes_page()
    assert page.index("First change:") < page.index("relay check") < page.index("kubectl apply")


def test_no_manifest_has_a_secret() -> None:
    assert not [path for path in MANIFESTS if yaml.safe_load(path.read_text())["kind"] == "Secret"]


def test_the_unit_of_systemd_lets_a_gateway_drain() -> None:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # names keep their capitals
    unit.read(DEPLOY / "systemd" / "relay.service")
    service = unit["Service"]
    fields = Settings.model_fields
    assert float(service["TimeoutStopSec"]) >= fields["drain_delay"].default + fields["drain_seconds"].default + 10
    assert service["KillMode"] == "mixed"
    assert service["ExecStart"].endswith("relay serve")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """With a program that is there in place of the relay."""
    unit = (DEPLOY / "systemd" / "relay.service").read_text().replace("/opt/relay/bin/relay", "/bin/true")
    (tmp_path / "relay.service").write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "relay.service"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "relay.service" in done.stderr) == (0, False), done.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck here")
def test_the_script_has_no_known_pitfalls() -> None:
    done = subprocess.run(["shellcheck", DEPLOY / "rolling-restart"], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def _kubernetes_page() -> str:
    return (DEPLOY / "README.md").read_text().partition("\n## Kubernetes\n")[2].partition("\n## ")[0]
