"""Measure the relay against a relay as one writes it every day."""
