"""`RELAY_AUTH=http`: a back end of yours decides about each client, by its answer to a POST.

the back end answers                   the client gets                              outcome
200                                    in                                           allowed
401 or 403                             that status, with the sentence               refused
late, with another status, too much,   503: `back_end_unavailable`                  `Failure`
or what can't be read
nothing; it is down                    503, without a request                       down
to as many as may wait already         503, without a request                       busy
the same question as before            as then, without a request                   cached
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final, Literal, cast

from relay.auth.authenticator import Authenticator, Identity
from relay.auth.credential import Unauthenticated
from relay.authenticators.http.answer import AnswerError, Decision, Refusal, read_answer, read_refusal
from relay.authenticators.http.answer_cache import AnswerCache
from relay.authenticators.http.circuit import Circuit
from relay.authenticators.http.question import Question, QuestionForm
from relay.authenticators.http_client import CallFailed, Failure, HttpClient, warn_of_plain_http
from relay.errors import Refused, Unavailable
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings

MAX_ANSWER_BYTES: Final = 65_536
"""Of an answer: rights, and 4 KB of info, take a tenth of it."""

WAITING_PER_REQUEST: Final = 10
"""How many clients may wait for each of the requests that are sent at once."""

_WANTED: Final = (200, 401, 403)

_OF_A_SERVER_THAT_IS_DOWN: Final = (Failure.TIMEOUT, Failure.UNREACHABLE)
"""The others are quick, and one client can cause them: they must not keep all others out."""

log = Logger("relay.auth")


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator; see `relay.authenticators`."""
    assert settings.auth_url is not None  # the settings see to it
    warn_of_plain_http("RELAY_AUTH_URL", settings.auth_url)
    form = QuestionForm(
        settings.auth_headers, settings.auth_cookies or (), settings.auth_parameters or (), settings.auth_cookie
    )
    client = HttpClient(
        settings.auth_url,
        timeout=settings.auth_timeout,
        max_bytes=MAX_ANSWER_BYTES,
        connections=settings.auth_concurrency,
    )
    cache = AnswerCache(settings.auth_cache, time.time) if settings.auth_cache else None
    return BackEnd(client, form, counters, settings.default_rights or {}, settings.auth_concurrency, cache)


class BackEnd:
    """Identifies clients by asking a back end; a `relay.auth.authenticator.RemoteAuthenticator`.

    Args:
        client: of the back end.
        form: makes the questions.
        counters: `auth_requests` and `auth_request_seconds` are used.
        defaults: RELAY_RIGHTS.
        concurrency: requests at once.
        cache: of decisions; None: the back end is asked each time.
        circuit: to the back end.
    """

    def __init__(
        self,
        client: HttpClient,
        form: QuestionForm,
        counters: Counters,
        defaults: dict[str, str],
        concurrency: int,
        cache: AnswerCache | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        self._client = client
        self._form = form
        self._counters = counters
        self._defaults = defaults
        self._cache = cache
        self._circuit = Circuit(time.monotonic) if circuit is None else circuit
        self._places = asyncio.Semaphore(concurrency)
        self._pending = 0
        self._most_pending = concurrency * (1 + WAITING_PER_REQUEST)
        self._last_failure = ""

    @property
    def notes(self) -> list[str]:
        """That the back end is down, if so."""
        if not self._circuit.open:
            return []
        return [f"the back end that decides about clients, {self._client.host}, is down: {self._last_failure}"]

    async def open(self) -> None:
        """Get ready to send requests."""
        await self._client.open()

    async def run(self) -> None:
        """Return at once: there is nothing to do beside the requests."""

    async def close(self) -> None:
        """Close the connections to the back end."""
        await self._client.close()

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return the identity that the back end gives.

        Raises:
            Refused: see the table above; with 400 or 401, the request is not in order.
        """
        question = self._form.fill_in(request)
        if self._cache is not None and question.key is not None:
            decision = self._cache.find(question.key)
            if decision is not None:
                self._counters.auth_requests["cached"] += 1
                return _let_in(decision)
        return self._ask(question)

    async def _ask(self, question: Question) -> Identity:
        if self._circuit.blocked:
            raise self._unavailable("down")
        if self._pending >= self._most_pending:
            log.warning("too many clients wait for the back end", back_end=self._client.host, waiting=self._pending)
            raise self._unavailable("busy")
        self._pending += 1
        try:
            async with self._places:
                # Again: it may have turned out while this one waited.
                if not self._circuit.let_through():
                    raise self._unavailable("down")
                decision = await self._request(question)
        finally:
            self._pending -= 1
        if self._cache is not None and question.key is not None:
            self._cache.keep(question.key, decision)
        return _let_in(decision)

    async def _request(self, question: Question) -> Decision:
        began_at = time.perf_counter()
        try:
            reply = await self._client.post(question.body, question.headers, _WANTED)
        except CallFailed as error:
            if error.failure in _OF_A_SERVER_THAT_IS_DOWN:
                self._last_failure = error.detail
                self._circuit.failed()
            else:
                self._circuit.succeeded()
            raise self._failed(error.failure, error.detail) from None
        finally:
            self._counters.auth_request_seconds.observe(time.perf_counter() - began_at)
        self._circuit.succeeded()
        if reply.status == 200:
            try:
                decision = read_answer(reply.body, time.time(), self._defaults)
            except AnswerError as error:
                raise self._failed(Failure.MALFORMED, str(error)) from None
        else:
            decision = read_refusal(cast(Literal[401, 403], reply.status), reply.body)
        self._counters.auth_requests["refused" if isinstance(decision, Refusal) else "allowed"] += 1
        return decision

    def _failed(self, failure: Failure, detail: str) -> Refused:
        log.warning("the back end has not decided", back_end=self._client.host, failure=failure.value, detail=detail)
        return self._unavailable(failure.value)

    def _unavailable(self, outcome: str) -> Refused:
        self._counters.auth_requests[outcome] += 1
        return Refused(503, Unavailable.BACK_END_UNAVAILABLE)


def _let_in(decision: Decision) -> Identity:
    """Return the identity of a client that is let in; raises `Refused` for another one."""
    if isinstance(decision, Identity):
        return decision
    if decision.status == 401:
        raise Unauthenticated("refused", decision.reason)
    refused = Refused(403, decision.reason)
    refused.cause = "refused"
    raise refused
