"""What is deployed to watch the relay: metrics, alerts, the dashboard, and the page that explains them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics_core import Metric

from relay.metrics.counters import Counters
from relay.metrics.prometheus import SnapshotCollector
from relay.metrics.snapshot import Gauges, Snapshot

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/relay.json"
BUILD = {"version": "1", "revision": "r", "python": "3", "event_loop": "asyncio"}

_WORDS = {"and", "or", "unless"}


def families() -> list[Metric]:
    """Return every metric of a gateway."""
    return list(
        SnapshotCollector(
            Snapshot(
                Counters(issuer_up={"login.example": 1}, issuer_keys_at={"login.example": 1.0}),
                Gauges(
                    bus_links={"publications": 1},
                    bus_servers={"f00": 1},
                    fan_outs={"send": 1},
                    tls_certificate_expiry={"relay.example": 1.0},
                ),
            ),
            BUILD,
        ).collect()
    )


def documented() -> dict[str, str]:
    """Return the metrics that the page explains, with their types."""
    table = PAGE.partition("<!-- metrics: begin")[2].partition("<!-- metrics: end -->")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE))


def series() -> dict[str, set[str]]:
    """Return the names of all series on /metrics, each with its labels."""
    return {sample.name: set(sample.labels) for family in families() for sample in family.samples}


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard, its rows left out."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return everything that Prometheus is asked by alerts and by the dashboard."""
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    asked += re.findall(r"label_values\((.*), \w+\)", dashboard["templating"]["list"][0]["definition"])
    return [rule["expr"] for rule in rules()] + asked


def names_in(expression: str) -> set[str]:
    """Return the series that an expression reads."""
    bare = re.sub(r"\b\w+ by \([^)]*\)|\{[^}]*\}|\[[^]]*\]|\boffset \w+", " ", expression)
    return set(re.findall(r"\b[a-z_]+\b(?! ?\()", bare)) - _WORDS


def labels_in(expression: str) -> set[str]:
    """Return the labels that an expression selects or groups by."""
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    selected = re.findall(r"(\w+)=~?\"", expression)
    return {label.strip() for group in grouped for label in group.split(",")} | set(selected)


def errors_logged() -> set[str]:
    """Return the entries that a gateway logs as errors; those of the load test are left out."""
    sources = [path.read_text() for path in (ROOT / "relay").rglob("*.py") if "loadtest" not in path.parts]
    return {entry for source in sources for entry in re.findall(r"\blog\.(?:error|exception)\(\s*\"([^\"]+)", source)}
