"""RPC: a back end of yours answers what clients call, by its answer to a POST.

the back end answers                                     the client gets                       outcome
200 with a result                                        its data                              answered
200 with an error                                        that error                            error
200 with a disconnect                                    closed                                disconnect
late, with another status, too much, or what can't be    error 100, to be tried again          `Failure`
read
nothing; it is down                                      error 100, without a request          down
too many wait, of all or of the client, or for too long  error 100, without a request          busy
once its client has left                                 nothing: the request is given up      left
there is no RELAY_RPC_URL                                error 108                             not counted
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relay.back_ends.answer_error import AnswerError
from relay.back_ends.back_end import BackEnd, NotAsked
from relay.back_ends.http_client import CallFailed, Failure, HttpClient, warn_of_plain_http
from relay.back_ends.passed_on import PassedOn, check_headers
from relay.limits.address import PUBLIC_ADDRESSES
from relay.limits.fair_shares import Names
from relay.limits.limit import Limit, reached
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.rpc.answer import read_answer
from relay.rpc.question import body_of, headers_of
from relay.rpc_call import RpcCall, RpcDisconnect, RpcError, RpcFailed, RpcNotAvailable
from relay.settings import Settings

MAX_ANSWER_BYTES: Final = 1_048_576
"""Of an answer, all of JSON: of binary data that is three quarters."""

log = Logger("relay.rpc")


def make_rpc(settings: Settings, counters: Counters, *, by_user: bool) -> RpcBackEnd:
    """Return what answers the calls of clients, as the settings describe it; `by_user` as for `RpcBackEnd`."""
    passed_on = PassedOn(settings.rpc_headers or (), settings.rpc_cookies or ())
    if settings.rpc_url is None:
        return RpcBackEnd(None, passed_on, counters, by_user=by_user)
    warn_of_plain_http("RELAY_RPC_URL", settings.rpc_url)
    client = HttpClient(
        settings.rpc_url,
        timeout=settings.rpc_timeout,
        max_bytes=MAX_ANSWER_BYTES,
        connections=settings.rpc_concurrency,
        idempotent=False,
    )
    back_end = BackEnd(
        client,
        "the back end that answers calls",
        settings.rpc_concurrency,
        counters.rpc_call_seconds,
        log,
        patience=settings.rpc_timeout,  # later its client has given up, and would see it done without an answer
    )
    return RpcBackEnd(back_end, passed_on, counters, by_user=by_user)


class RpcBackEnd:
    """Answers calls of clients by asking a back end; a `relay.rpc_call.Rpc`. Opened, run and closed with its gateway.

    Args:
        back_end: answers; None: there is none.
        passed_on: picks what the back end sees of the requests with which clients connect.
        counters: `rpc_calls` and `limits_reached` are used.
        by_user: whether all clients of a user share places; not where any client can claim its name.
    """

    def __init__(self, back_end: BackEnd | None, passed_on: PassedOn, counters: Counters, *, by_user: bool) -> None:
        self._back_end = back_end
        self._passed_on = passed_on
        self._counters = counters
        self._by_user = by_user

    @property
    def notes(self) -> list[str]:
        """That the back end is down, if so."""
        return [] if self._back_end is None else self._back_end.notes

    async def open(self) -> None:
        """Get ready to send requests."""
        if self._back_end is not None:
            await self._back_end.open()

    async def run(self) -> None:
        """Return at once: there is nothing to do beside the requests."""

    async def close(self) -> None:
        """Close the connections to the back end."""
        if self._back_end is not None:
            await self._back_end.close()

    def headers_of(self, request: ConnectRequest) -> Mapping[str, str]:
        """Return what the calls of a client will have as `headers`, to be kept for as long as it is connected.

        Args:
            request: with which it connects.

        Raises:
            Refused: with 400, what would be passed on can't be.
        """
        return {} if self._back_end is None else check_headers(self._passed_on.pick(request))

    async def call(self, call: RpcCall) -> bytes:
        """Return the data of the answer; see `Rpc.call`."""
        if self._back_end is None:
            raise RpcNotAvailable
        outcome = "left"  # the call is cancelled with its client
        try:
            data = await self._ask(self._back_end, call)
            outcome = "answered"
            return data
        except (RpcError, RpcDisconnect, RpcFailed) as error:
            outcome = error.outcome
            raise
        finally:
            self._counters.rpc_calls[outcome] += 1

    async def _ask(self, back_end: BackEnd, call: RpcCall) -> bytes:
        """Return the data of the answer; raises `RpcError`, `RpcDisconnect` and `RpcFailed`."""
        try:
            reply = await back_end.post(body_of(call), headers_of(call), (200,), self._names_of(call))
            return read_answer(reply.body, call.protocol == "json")
        except NotAsked as error:
            if error.own_share:
                reached(Limit.CALLS, self._counters, user=call.user, client=call.client, remote=call.remote)
            raise RpcFailed(error.reason) from None
        except CallFailed as error:
            failure, detail = error.failure, error.detail
        except AnswerError as error:
            failure, detail = Failure.MALFORMED, str(error)
        log.warning(
            "the back end has not answered a call", back_end=back_end.host, failure=failure.value, detail=detail
        )
        raise RpcFailed(failure.value)

    def _names_of(self, call: RpcCall) -> Names:
        """Return under what a call counts: its client, all clients of its user, and all of its address."""
        names = [call.client]
        if self._by_user and call.user is not None:
            names.append(f"user:{call.user}")  # no client and no address is called so, whatever its user is
        if address := PUBLIC_ADDRESSES.key(call.remote):
            names.append(address)
        return names
