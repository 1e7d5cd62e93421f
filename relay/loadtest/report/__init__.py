"""The report of a load test for people: one HTML page that needs nothing but itself."""

from relay.loadtest.report.page import write_report

__all__ = ["write_report"]
