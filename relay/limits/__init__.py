"""Limits of what clients may take: rates and counts, each by client, by address or by user. Pure: the clock is given."""
