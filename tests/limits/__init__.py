"""Limits of what clients may take."""
