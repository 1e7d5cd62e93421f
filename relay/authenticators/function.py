"""`RELAY_AUTH=module.function`: an async function of your own decides."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Final

from relay.auth.authenticator import Authenticator, AuthenticatorError, Identity
from relay.auth.credential import Unauthenticated
from relay.auth.grant import Grant
from relay.auth.server_side import ServerSide
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings
from relay.settings.field import PREFIX
from relay.settings.problem import SettingProblem, SettingsError

AuthFunction = Callable[[ConnectRequest], Awaitable[Grant | None]]
"""Returns what a client gets; None: it is refused with 401. It may raise `Refused` with a status and a sentence of its
own. Whatever else it raises is logged without the text, and the client gets 500; after RELAY_HANDSHAKE_TIMEOUT it is
cancelled, and the client gets 503."""

_WANTED: Final = "the dotted path of an async function"


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator; see `relay.authenticators`.

    Raises:
        SettingsError: there is no such function.
    """
    return OwnFunction(find_function(settings.auth), settings.default_rights or {})


def find_function(path: str) -> AuthFunction:
    """Return the function at a dotted path, such as `shop.relay_auth.authenticate`.

    Raises:
        SettingsError: there is no such module or function, or it is no async function. Other errors of the module
            itself are raised as they are.
    """
    module_name, _, name = path.rpartition(".")
    try:
        module = import_module(module_name)
    except ImportError as error:
        where = "" if error.name is None or not f"{module_name}.".startswith(f"{error.name}.") else _WHERE_MODULES_ARE
        raise _problem(path, f"{_WANTED}; importing {module_name} fails: {error}{where}") from error
    function: AuthFunction | None = getattr(module, name, None)
    if function is None:
        raise _problem(path, f"{_WANTED}; {module_name} has no {name}")
    if not inspect.iscoroutinefunction(function):
        raise _problem(path, f"{_WANTED}; this one is no `async def`")
    return function


_WHERE_MODULES_ARE: Final = "; it must be installed, or its folder named in PYTHONPATH"


def _problem(path: str, allowed: str) -> SettingsError:
    return SettingsError([SettingProblem(f"{PREFIX}AUTH", repr(path), allowed)])


class OwnFunction:
    """Identifies clients by what a function returns; see `relay.auth.authenticator.Authenticator`.

    Args:
        function: decides.
        defaults: RELAY_RIGHTS.
    """

    def __init__(self, function: AuthFunction, defaults: Mapping[str, str]) -> None:
        self._function = function
        self._defaults = defaults

    async def identify(self, request: ConnectRequest) -> Identity:
        """Return the identity that the function gives.

        Raises:
            Unauthenticated: it gives none.
            RelayError: it returns something else than a grant, or one that can't be used.
            Exception: what the function itself raises.
        """
        grant = await self._function(request)
        if grant is None:
            raise Unauthenticated("refused", "you are not let in")
        _check_types(grant)
        return grant.identity(self._defaults)


def _check_types(grant: Grant) -> None:
    """Raise `AuthenticatorError` unless a grant is one: what slips through would show itself later, and elsewhere."""
    if not isinstance(grant, Grant):
        what = f"the class {grant.__name__}" if isinstance(grant, type) else type(grant).__name__
        raise AuthenticatorError(f"the function must return a Grant or None, not {what}")
    channels: object = grant.channels
    if channels is not None and not (
        isinstance(channels, Mapping) and all(isinstance(text, str) for item in channels.items() for text in item)
    ):
        raise AuthenticatorError("channels of a grant must map patterns to letters, both str")
    for name, kinds in (("user", str), ("expires_at", (int, float)), ("info", bytes), ("server_side", ServerSide)):
        value = getattr(grant, name)
        if value is not None and not isinstance(value, kinds):
            raise AuthenticatorError(f"{name} of a grant can't be {type(value).__name__}")
