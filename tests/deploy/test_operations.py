"""Metrics, alerts, dashboard and what docs/operations.md says about them: all of the same things."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
import yaml

from relay.metrics.counters import BOUNDS
from tests.deploy.observed import (
    ALERTS,
    BUILD,
    DASHBOARD,
    PAGE,
    ROOT,
    documented,
    errors_logged,
    expressions,
    families,
    labels_in,
    names_in,
    panels,
    rules,
    series,
)

STANDARD = {"up"}
"""Series that Prometheus makes itself."""

MORE = {
    "relay_connections_closed_total",
    "relay_bus_link_up",
    "relay_bus_buffer_bytes",
    "relay_gap_channels_total",
    "relay_drain_connections",
    "relay_issuer_keys_timestamp_seconds",
    "relay_issuer_fetches_total",
    "relay_history_reads_total",
}
"""Metrics that tell more once the alert beside them has fired."""


def test_the_page_explains_every_metric_and_no_other() -> None:
    shown = {f"{family.name}_total" if family.type == "counter" else family.name: family.type for family in families()}
    assert documented() == shown


def test_the_page_says_what_to_do_about_every_alert() -> None:
    headings = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]
    linked = set(re.findall(r"\]\(#(relay\w+)\)", PAGE))
    assert linked <= {heading.lower() for heading in headings}


def test_the_page_says_how_urgent_an_alert_is() -> None:
    said = dict(re.findall(r"^### (\w+)\n\n(\w+)\.", PAGE, re.MULTILINE))
    assert said == {rule["alert"]: rule["labels"]["severity"].capitalize() for rule in rules()}


def test_every_metric_that_the_page_gives_an_alert_is_read_by_it() -> None:
    asked = {rule["alert"]: rule["expr"] for rule in rules()}
    for name, cell in re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", PAGE, re.MULTILINE):
        alerts = re.findall(r"\[(\w+)\]", cell)
        # Of two metrics that belong together one is read: both links make the bus, say.
        assert not alerts or any(name in asked[alert] for alert in alerts) or name in MORE, name


def test_alerts_and_dashboard_read_series_that_exist() -> None:
    assert len(expressions()) > 80
    unknown = {expression: names_in(expression) - series().keys() - STANDARD for expression in expressions()}
    assert {expression: names for expression, names in unknown.items() if names} == {}


def test_alerts_and_dashboard_use_labels_that_exist() -> None:
    known = {"job", "instance"} | {label for labels in series().values() for label in labels}
    unknown = {expression: labels_in(expression) - known for expression in expressions()}
    assert {expression: labels for expression, labels in unknown.items() if labels} == {}


def test_alerts_name_bounds_that_the_histograms_have() -> None:
    """A bound that doesn't exist would silence its alert."""
    named = {bound for rule in rules() for bound in re.findall(r'le="([^"]+)"', rule["expr"])}
    assert named
    assert named <= set(map(str, BOUNDS))


def test_no_label_has_values_that_strangers_choose() -> None:
    labels = {label for labels in series().values() for label in labels}
    assert labels == {
        "reason",
        "method",
        "code",
        "link",
        "run_id",
        "share",
        "limit",
        "outcome",
        "issuer",
        "name",
        "result",
        "transport",
        "way",
        "generation",
        "le",
        *BUILD,
    }


def test_the_dashboard_shows_every_metric() -> None:
    read = {name for panel in panels() for target in panel["targets"] for name in names_in(target["expr"])}
    assert {family.name for family in families()} <= {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in read}


def test_the_log_entries_on_the_page_are_those_of_the_relay() -> None:
    """All that are named exist, and every error is named."""
    table = PAGE.partition("## Logs")[2]
    first_cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = {entry for cell in first_cells for entry in re.findall("`([^`]+)`", cell)}
    sources = "".join(path.read_text() for path in (ROOT / "relay").rglob("*.py"))
    assert {entry for entry in named if f'"{entry}"' not in sources} == set()
    assert errors_logged() <= set(re.findall("`([^`]+)`", table))


def test_every_panel_is_complete_and_in_its_place() -> None:
    everything = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        cells = {(x + place["x"], y + place["y"]) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["legendFormat"] and target["refId"] for target in panel["targets"])


def test_the_dashboard_finds_its_datasource() -> None:
    folder = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/relay.yml").read_text())["providers"]
    used = set(re.findall(r'"uid": "(\w+)"\n\s*}', DASHBOARD.read_text()))
    assert used == {source["uid"]}
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


@cache
def alert_checks() -> list[dict[str, Any]]:
    """Return what the tests of the alerts expect; to read that takes a while."""
    cases = yaml.safe_load((ALERTS.parent / "alerts.test.yml").read_text())["tests"]
    return [check for case in cases for check in case["alert_rule_test"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_is_tested_to_fire_and_to_stay_silent(rule: dict[str, Any]) -> None:
    checks = [check for check in alert_checks() if check["alertname"] == rule["alert"]]
    fired = [bool(check.get("exp_alerts")) for check in checks]
    assert True in fired
    assert False in fired
