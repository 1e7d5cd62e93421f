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

import time
from collections.abc import Awaitable
from typing import Final, Literal, cast

from relay.auth.authenticator import Authenticator, Identity
from relay.auth.credential import Unauthenticated
from relay.authenticators.http.answer import Decision, Refusal, read_answer, read_refusal
from relay.authenticators.http.answer_cache import AnswerCache
from relay.authenticators.http.question import Question, QuestionForm
from relay.back_ends.answer_error import AnswerError
from relay.back_ends.back_end import BackEnd, NotAsked
from relay.back_ends.http_client import CallFailed, Failure, HttpClient, Reply, warn_of_plain_http
from relay.errors import Refused, Unavailable
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings

MAX_ANSWER_BYTES: Final = 65_536
"""Of an answer: rights, and 4 KB of info, take a tenth of it."""

_WANTED: Final = (200, 401, 403)

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
    back_end = BackEnd(
        client,
        "the back end that decides about clients",
        settings.auth_concurrency,
        counters.auth_request_seconds,
        log,
    )
    return HttpAuthenticator(back_end, form, counters, settings.default_rights or {}, cache)


class HttpAuthenticator:
    """Identifies clients by asking a back end; a `relay.auth.authenticator.RemoteAuthenticator`.

    Args:
        back_end: decides.
        form: makes the questions.
        counters: `auth_requests` is used.
        defaults: RELAY_RIGHTS.
        cache: of decisions; None: the back end is asked each time.
    """

    def __init__(
        self,
        back_end: BackEnd,
        form: QuestionForm,
        counters: Counters,
        defaults: dict[str, str],
        cache: AnswerCache | None = None,
    ) -> None:
        self._back_end = back_end
        self._form = form
        self._counters = counters
        self._defaults = defaults
        self._cache = cache

    @property
    def notes(self) -> list[str]:
        """That the back end is down, if so."""
        return self._back_end.notes

    async def open(self) -> None:
        """Get ready to send requests."""
        await self._back_end.open()

    async def run(self) -> None:
        """Return at once: there is nothing to do beside the requests."""

    async def close(self) -> None:
        """Close the connections to the back end."""
        await self._back_end.close()

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
        try:
            reply = await self._back_end.post(question.body, question.headers, _WANTED)
        except NotAsked as error:
            raise self._unavailable(error.reason) from None
        except CallFailed as error:
            raise self._failed(error.failure, error.detail) from None
        decision = self._read(reply)
        self._counters.auth_requests["refused" if isinstance(decision, Refusal) else "allowed"] += 1
        if self._cache is not None and question.key is not None:
            self._cache.keep(question.key, decision)
        return _let_in(decision)

    def _read(self, reply: Reply) -> Decision:
        if reply.status != 200:
            return read_refusal(cast(Literal[401, 403], reply.status), reply.body)
        try:
            return read_answer(reply.body, time.time(), self._defaults)
        except AnswerError as error:
            raise self._failed(Failure.MALFORMED, str(error)) from None

    def _failed(self, failure: Failure, detail: str) -> Refused:
        log.warning("the back end has not decided", back_end=self._back_end.host, failure=failure.value, detail=detail)
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
