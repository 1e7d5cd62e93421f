"""Reads what trusted proxies tell about the address of a client."""
