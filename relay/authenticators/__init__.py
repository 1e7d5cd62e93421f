"""How clients are identified: one module for each value of RELAY_AUTH, behind one contract.

The contract is `relay.auth.authenticator.Authenticator`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol

from relay.auth.authenticator import Authenticator
from relay.metrics.counters import Counters
from relay.settings import Settings

AUTHENTICATORS: Final = {
    "none": "relay.authenticators.none",
    "key": "relay.authenticators.key",
    "jwt": "relay.authenticators.jwt",
}
"""Value of RELAY_AUTH → module that exports `make_authenticator`; any other value is the path of a function."""

FUNCTION: Final = "relay.authenticators.function"


class _Module(Protocol):
    def make_authenticator(self, settings: Settings, counters: Counters) -> Authenticator:
        """Return the authenticator that the settings describe."""


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator that RELAY_AUTH names; raises what its module raises."""
    module: _Module = import_module(AUTHENTICATORS.get(settings.auth, FUNCTION))
    return module.make_authenticator(settings, counters)
