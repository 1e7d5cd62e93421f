"""What is read out of Autobahn's report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.report import Result, read_report

CASE = {
    "behavior": "OK",
    "behaviorClose": "OK",
    "duration": 3,
    "remoteCloseCode": 1000,
    "reportfile": "relay_case_1_1_1.json",
}


def index(**servers: dict[str, Any]) -> bytes:
    """Return a report as Autobahn writes it."""
    return json.dumps(servers).encode()


def test_each_case_has_its_result() -> None:
    closed = {**CASE, "behavior": "NON-STRICT", "remoteCloseCode": None}
    assert read_report(index(relay={"1.1.1": CASE, "2.10": closed}), "relay") == {
        "1.1.1": Result("OK", "OK", 1000, 3),
        "2.10": Result("NON-STRICT", "OK", None, 3),
    }


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"[]",
        b"{}",
        index(other={"1.1.1": CASE}),
        index(relay={"1.1.1": CASE}, other={"1.1.1": CASE}),
        index(relay={"1.1.1": {**CASE, "behavior": "FINE"}}),
        index(relay={"1.1.1": {**CASE, "behaviorClose": "FINE"}}),
        index(relay={"1.1.1": {**CASE, "remoteCloseCode": "1000"}}),
        index(relay={"1.1.1": {"behavior": "OK"}}),
    ],
)
def test_anything_else_is_no_report(report: bytes) -> None:
    """A word that Autobahn has not used so far must not count as OK, nor as nothing."""
    with pytest.raises(ValueError, match=r"."):
        read_report(report, "relay")
