"""Fixtures of the client's tests."""

from __future__ import annotations

from tests.harness.stand_in import stand_in as stand_in
