"""`RELAY_AUTH=module.function`: an async function of your own decides."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module

from relay.auth.authenticator import Authenticator, Identity
from relay.auth.credential import Unauthenticated
from relay.auth.grant import Grant
from relay.authenticators.credentials import Credentials
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings

AuthFunction = Callable[[ConnectRequest], Awaitable[Grant | None]]
"""Returns what a client gets; None: it is refused with 401. It may raise `Refused` with a status and a sentence of its
own."""


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator; see `relay.authenticators`.

    Raises:
        ImportError: there is no such module or function.
        TypeError: it is no async function.
    """
    return OwnFunction(find_function(settings.auth), Credentials("answer", None, settings.rights))


def find_function(path: str) -> AuthFunction:
    """Return the function at a dotted path, such as `shop.relay_auth.authenticate`.

    Raises:
        ImportError: there is no such module or function.
        TypeError: it is no async function.
    """
    module, _, name = path.rpartition(".")
    try:
        function: AuthFunction = getattr(import_module(module), name)
    except AttributeError:
        raise ImportError(f"{module} has no {name}") from None
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{path} must be an async function")
    return function


class OwnFunction:
    """Identifies clients by what a function returns; see `relay.auth.authenticator.Authenticator`.

    Args:
        function: decides.
        credentials: makes identities.
    """

    def __init__(self, function: AuthFunction, credentials: Credentials) -> None:
        self._function = function
        self._credentials = credentials

    async def identify(self, request: ConnectRequest) -> Identity:
        """Return the identity that the function gives; raises what it raises."""
        grant = await self._function(request)
        if grant is None:
            raise Unauthenticated("refused", "you are not let in")
        return self._credentials.identity(grant)
