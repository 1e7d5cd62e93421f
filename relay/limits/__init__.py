"""Limits of what clients may take: rates and counts, each by client, address or user. Pure: the clock is given."""
