"""Bugs that are planted into gateways, to show that a run finds them."""
