"""Own functions as authenticators: found, asked, and kept from doing harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay import Gateway, Settings
from relay.auth.authenticator import AuthenticatorError
from relay.auth.grant import ExpiryError, Grant
from relay.auth.rights import RightsError
from relay.authenticators.function import OwnFunction
from relay.errors import Refused
from relay.gateway.authentication import Authentication
from relay.protocols.request import ConnectRequest
from tests.gateway.admissions import WAYS, every_way, nothing_is_left, refusals, success
from tests.harness.conditions import wait_until
from tests.harness.http_response import HttpResponse
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket

TOKEN = "s3cret-t0ken"
REQUEST = ConnectRequest("/ws/a", {}, {}, "127.0.0.1")

Answer = Callable[[ConnectRequest], Awaitable[Any]]


@asynccontextmanager
async def gateway_with(function: Answer, **given: Any) -> AsyncIterator[Gateway]:
    """Run a gateway whose authenticator is a function."""
    settings = {"port": 0, "drain_seconds": 0, "ping_interval": 3600, "allowed_origins": ("https://page.example",)}
    authenticator = OwnFunction(function, {"news": "r"})
    async with Gateway(Settings(**{**settings, **given}), authenticator=authenticator) as gateway:
        yield gateway


async def ask(gateway: Gateway, way: str) -> HttpResponse:
    """Send a request with a token, and return its answer."""
    async with RawWebSocket(gateway.port) as client:
        await client.send(WAYS[way].replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode(), 1))
        return await client.response()


@every_way
async def test_it_gets_the_request_and_gives_a_grant(way: str) -> None:
    asked: list[ConnectRequest] = []

    async def identify(request: ConnectRequest) -> Grant:
        asked.append(request)
        await asyncio.sleep(0)
        return Grant("ann", {"*": "rw"})

    async with gateway_with(identify) as gateway:
        assert (await ask(gateway, way)).status == success(way)
        (request,) = asked
        assert request.header("Authorization") == f"Bearer {TOKEN}"
        assert (request.remote, request.path) == ("127.0.0.1", WAYS[way].split()[1].decode().partition("?")[0])


async def test_a_grant_is_completed_by_the_rights_of_all() -> None:
    async def identify(request: ConnectRequest) -> Grant:
        return Grant("ann", {"a": "w"})

    identity = await OwnFunction(identify, {"news": "r"}).identify(REQUEST)
    assert identity.rights.may_subscribe("news")
    assert identity.rights.may_publish("a")
    assert not identity.rights.may_subscribe("a")


@every_way
async def test_none_is_a_refusal(way: str) -> None:
    async def identify(request: ConnectRequest) -> None:
        return None

    async with gateway_with(identify) as gateway:
        response = await ask(gateway, way)
        assert (response.status, response.text) == (401, "you are not let in\n")
        if way != "publish":
            assert refusals(gateway, way) == {"refused": 1}


async def test_it_may_refuse_with_a_sentence_of_its_own() -> None:
    async def identify(request: ConnectRequest) -> Grant:
        raise Refused(403, "your account is closed")

    async with gateway_with(identify) as gateway:
        response = await ask(gateway, "poll")
        assert (response.status, response.text) == (403, "your account is closed\n")


class StrangeError(Exception):
    """An exception that can't even be shown."""

    def __str__(self) -> str:
        raise ZeroDivisionError(TOKEN)


def recursion() -> BaseException:
    """Return an exception with a thousand frames."""

    def deeper() -> None:
        deeper()

    try:
        deeper()
    except RecursionError as error:
        return error
    raise AssertionError


RAISED: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError(f"no such token: {TOKEN}"),
    "KeyError": lambda: KeyError(TOKEN),
    "OSError": lambda: OSError(2, TOKEN, TOKEN),
    "TimeoutError": lambda: TimeoutError(TOKEN),
    "CancelledError": lambda: asyncio.CancelledError(TOKEN),
    "SystemExit": lambda: SystemExit(TOKEN),
    "StopAsyncIteration": lambda: StopAsyncIteration(TOKEN),
    "ExceptionGroup": lambda: ExceptionGroup(TOKEN, [ValueError(TOKEN)]),
    "StrangeError": StrangeError,
    "RecursionError": recursion,
    "a status that is no error": lambda: Refused(200, TOKEN),
    "a sentence that is no text": lambda: Refused(403, "\udc80"),
}


@pytest.mark.parametrize("name", RAISED)
@every_way
async def test_whatever_it_raises_is_500_and_told_without_the_text(
    way: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The text of an exception may be the token itself. The client isn't kept waiting, and the gateway goes on."""

    async def look_up(token: str) -> Grant:
        raise RAISED[name]()

    async def identify(request: ConnectRequest) -> Grant:
        if request.header("Authorization") is None:
            return Grant("ann", {"*": "rw"})
        await asyncio.sleep(0)
        try:
            raise LookupError(TOKEN)
        except LookupError as error:
            if name == "ValueError":
                raise RuntimeError(TOKEN) from error
            return await look_up(TOKEN)

    async with gateway_with(identify) as gateway:
        response = await ask(gateway, way)
        assert (response.status, TOKEN in response.text) == (500, False)
        (entry,) = [record.getMessage() for record in caplog.records if "authenticator failed" in record.getMessage()]
        assert "test_function.py:" in entry
        assert " in identify" in entry
        assert "LookupError" in entry, "what came before is told as well"
        assert TOKEN not in caplog.text
        assert len(entry) < 5000
        await wait_until(lambda: nothing_is_left(gateway))
        async with RawWebSocket(gateway.port) as client:
            await client.send(WAYS[way])
            assert (await client.response()).status == success(way)


@every_way
async def test_one_that_hangs_is_cancelled(way: str) -> None:
    cancelled: list[bool] = []

    async def identify(request: ConnectRequest) -> Grant:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        raise AssertionError

    async with gateway_with(identify, handshake_timeout=0.2) as gateway:
        response = await ask(gateway, way)
        assert (response.status, cancelled) == (503, [True])
        await wait_until(lambda: nothing_is_left(gateway))


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ({"user": "ann"}, "must return a Grant or None, not dict"),
        (True, "must return a Grant or None, not bool"),
        ("ann", "must return a Grant or None, not str"),
        (Grant, "must return a Grant or None, not the class Grant"),
        (Grant(7), "user of a grant can't be int"),  # type: ignore[arg-type]
        (Grant(b"ann"), "user of a grant can't be bytes"),  # type: ignore[arg-type]
        (Grant("ann", ["*"]), "channels of a grant must map patterns to letters"),  # type: ignore[arg-type]
        (Grant("ann", {"*": 7}), "channels of a grant must map patterns to letters"),  # type: ignore[dict-item]
        (Grant("ann", {7: "r"}), "channels of a grant must map patterns to letters"),  # type: ignore[dict-item]
        (Grant("ann", None, "2030-01-01"), "expires_at of a grant can't be str"),  # type: ignore[arg-type]
        (Grant("ann", None, None, "{}"), "info of a grant can't be str"),  # type: ignore[arg-type]
        (Grant("ann", None, None, {}), "info of a grant can't be dict"),  # type: ignore[arg-type]
        (Grant("ann", server_side={}), "server_side of a grant can't be dict"),  # type: ignore[arg-type]
    ],
)
async def test_a_wrong_answer_is_a_fault_with_words(answer: Any, rule: str, caplog: pytest.LogCaptureFixture) -> None:
    async def identify(request: ConnectRequest) -> Any:
        return answer

    with pytest.raises(AuthenticatorError, match=rule):
        await OwnFunction(identify, {}).identify(REQUEST)
    async with gateway_with(identify) as gateway:
        assert (await ask(gateway, "poll")).status == 500
        assert rule in caplog.text, "an operator can read it"


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        (Grant("ann", {"a*b": "r"}), RightsError),
        (Grant("ann", {"*": "all"}), RightsError),
        (Grant("ann", None, float("nan")), ExpiryError),
        (Grant("ann", None, 1_790_000_000_000), ExpiryError),
    ],
)
async def test_a_grant_that_can_not_be_used(grant: Grant, error: type[Exception]) -> None:
    async def identify(request: ConnectRequest) -> Grant:
        return grant

    with pytest.raises(error):
        await OwnFunction(identify, {}).identify(REQUEST)


async def test_a_thousand_clients_are_identified_at_once() -> None:
    """A function that takes its time doesn't make them wait for each other."""
    everybody, asked, go_on = 1000, 0, asyncio.Event()

    async def identify(request: ConnectRequest) -> Grant:
        nonlocal asked
        asked += 1
        if asked == everybody:
            go_on.set()
        await go_on.wait()
        return Grant("ann")

    async with gateway_with(identify) as gateway:
        parts = parts_of(gateway)
        failures, blocked_users = parts.front_door.limits.failures, parts.control.blocked_users
        authentication = Authentication(OwnFunction(identify, {}), failures, blocked_users, 600.0)
        identities = await asyncio.gather(*(authentication.identify(REQUEST) for _ in range(everybody)))
        assert [identity.user for identity in identities] == ["ann"] * everybody
