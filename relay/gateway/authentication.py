"""Who a client is: what the authenticator says, and what becomes of it when it fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine

from relay.auth.authenticator import Authenticator, AuthenticatorError, Identity
from relay.auth.credential import MISSING, Unauthenticated
from relay.auth.grant import check_identity
from relay.control.blocked_users import BlockedUsers
from relay.errors import Refused, RelayError, Unavailable
from relay.limits.address_rate import AddressRate
from relay.logs import Logger, trace
from relay.protocols.http_error import http_error
from relay.protocols.request import ConnectRequest

_FAULTS = (Exception, SystemExit, asyncio.CancelledError)
"""What a program's authenticator may raise. It is logged, and becomes a refusal."""

log = Logger("relay.gateway")


class Authentication:
    """Asks the authenticator who sends a request. Whatever it raises becomes a refusal.

    Args:
        authenticator: tells who clients are.
        failures: how often authentications fail from each address.
        blocked_users: who is refused for now.
        patience: seconds that the authenticator may take.
        of_program: whether a program has made its identities, which may name what can't be shown.
        now: returns the time in seconds since 1970.

    Attributes:
        blocked_users: see above.
        patience: see above.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        failures: AddressRate,
        blocked_users: BlockedUsers,
        patience: float,
        of_program: bool = True,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._authenticator = authenticator
        self._failures = failures
        self.blocked_users = blocked_users
        self.patience = patience
        self._of_program = of_program
        self._now = now

    async def identify(self, request: ConnectRequest) -> Identity:
        """Return who sends a request.

        Raises:
            Refused: with 429, too many authentications have failed from its address, and the authenticator isn't asked;
                what the authenticator raises; with 503, it takes longer than `patience`; with 500, it fails otherwise;
                with 401, its right has expired; with 403, its user is blocked; with 503, that isn't known yet.
        """
        return await self.answer(self.ask(request), request)

    def ask(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return what the authenticator answers, perhaps later; whatever it raises becomes a refusal.

        Until then the request counts as a failure.
        """
        self._failures.check(request.remote)
        try:
            answer = self._authenticator.identify(request)
        except _FAULTS as error:
            raise self._refusal(error, request) from None
        if not isinstance(answer, Identity):
            self._failures.hold(request.remote)
        return answer

    async def answer(self, answer: Identity | Awaitable[Identity], request: ConnectRequest) -> Identity:
        """Return the identity that an authenticator has answered, or will; errors are those of `identify`."""
        try:
            if not isinstance(answer, Identity):
                answer = await self._wait_for(answer, request)
            if self._of_program:
                check_identity(answer)  # a name that can't be written would keep presence from being told of others
        except _FAULTS as error:
            raise self._refusal(error, request) from None
        self.check(answer)
        return answer

    def _refusal(self, error: BaseException, request: ConnectRequest) -> BaseException:
        """Return what to raise for one of `_FAULTS`."""
        if isinstance(error, Refused) and _can_be_sent(error):
            if error.status == 401 and error.cause != MISSING:  # without a credential nothing can be tried out
                self._failures.add(request.remote)
            return error
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                return error
            # Else something that the authenticator waited for was cancelled.
        return _fault(error, request)

    async def _wait_for(self, identity: Awaitable[Identity], request: ConnectRequest) -> Identity:
        """Return the identity that an authenticator promises."""
        patience = asyncio.timeout(self.patience)
        try:
            await asyncio.sleep(0)  # in a task from here on, which time-outs need
            async with patience:
                found = await identity
        except TimeoutError:
            if not patience.expired():
                raise
            raise Refused(503, Unavailable.AUTHENTICATION_TIMEOUT) from None
        finally:
            # It holds the task, which holds the error that has cancelled it, whose traceback holds this frame: a cycle.
            del patience
            self._failures.release(request.remote)
            if isinstance(identity, Coroutine):
                identity.close()  # it may not have been begun
        if not isinstance(found, Identity):
            raise AuthenticatorError(f"it must return an Identity, not {type(found).__name__}")
        return found

    def check(self, identity: Identity) -> None:
        """Check what may change from one moment to the next; raises `Refused`."""
        # Not `<=`: whatever a program gives that is no number is over.
        if identity.expires_at is not None and not identity.expires_at > self._now():
            raise Unauthenticated("expired", "your right to be here has expired")
        if identity.user is not None:
            self.blocked_users.check(identity.user)


def _can_be_sent(refused: Refused) -> bool:
    """Return whether a refusal is an HTTP error that can be written."""
    try:
        http_error(refused.status, refused.reason, refused.headers)
    except (ValueError, TypeError, AttributeError):  # UnicodeError is a ValueError
        return False
    return refused.status >= 400


def _fault(error: BaseException, request: ConnectRequest) -> Refused:
    """Log a fault of the authenticator, and return the refusal of its client."""
    # Texts of others may hold what the client has sent.
    why = str(error) if isinstance(error, RelayError) and not isinstance(error, Refused) else type(error).__name__
    log.error("authenticator failed", remote=request.remote, why=why, stack=trace(error))
    return Refused(500, "the relay could not tell who you are; its log has the reason")
