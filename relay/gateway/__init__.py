"""The rim towards clients."""

from relay.gateway.gateway import Gateway

__all__ = ["Gateway"]
