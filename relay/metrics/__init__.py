"""Counters, measurements and their text format for Prometheus."""
