"""How the JavaScript client comes by its tokens, and what it does when it is refused."""

from __future__ import annotations

import json
import time
import urllib.request

import jwt
import pytest

from relay import ConnectRequest, Grant
from tests.harness.gateway_process import GatewayProcess
from tests.harness.server_api import KEY
from tests.web.client.conftest import Connect, Start

SECRET = "0123456789abcdef0123456789abcdef"
SETTINGS = {"auth": "jwt", "jwt_secret": SECRET, "api_keys": KEY, "history_size": 100}

both = pytest.mark.parametrize("transport", ["websocket", "events"])
pytestmark = pytest.mark.parametrize("engine", ["page"], indirect=True)


def token(number: int = 0, rights: str = "rw", seconds: int = 3600) -> str:
    """Return a token for channel `a`, another one for each number."""
    claims = {"sub": "ann", "exp": int(time.time()) + seconds, "channels": {"a": rights}, "jti": str(number)}
    return jwt.encode(claims, SECRET)


def call(gateway: GatewayProcess, method: str, **parameters: object) -> None:
    """Call the server API."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{gateway.port}/api/{method}", json.dumps(parameters).encode(), {"X-API-Key": KEY}
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310  # of this machine
        assert json.load(answer) == {"result": {}}


@both
def test_when_a_token_expires_it_asks_for_another_one_and_comes_back(
    connect: Connect, start: Start, transport: str
) -> None:
    gateway = start(**SETTINGS)
    client = connect(f"ws://127.0.0.1:{gateway.port}/ws/a?echo=1", token(1), token(2), token(3), transport=transport)
    for times in (1, 2):
        client.is_now("open", times)
        client.send(str(times))
        client.hears(*"12"[:times])
        call(gateway, "refresh", user="ann", expired=True)
        loss = client.is_now("waiting", times)
        assert (loss["opened"], loss["code"], loss["reason"]) == (True, 1008, "token expired")
    client.is_now("open", 3)
    assert client.asked == 3
    assert len(client.missed) == (2 if transport == "websocket" else 0)


@both
def test_who_has_no_other_token_stays_away(connect: Connect, start: Start, transport: str) -> None:
    """It would be refused; `start` may be called when there is one."""
    gateway = start(**SETTINGS)
    client = connect(f"ws://127.0.0.1:{gateway.port}/ws/a", token(1), transport=transport)
    client.is_now("open")
    call(gateway, "refresh", user="ann", expired=True)
    ending = client.is_now("closed")
    assert (ending["code"], ending["reason"]) == (1008, "token expired")
    assert client.asked == 2
    client.start()
    client.is_now("open", 2)


def test_a_token_that_is_refused_is_replaced_once(connect: Connect, start: Start) -> None:
    """A browser doesn't say why it got no WebSocket; the events do, and the second refusal counts."""
    gateway = start(**SETTINGS)
    url = f"ws://127.0.0.1:{gateway.port}/ws/a"
    client = connect(url, token(seconds=-3600), token())
    refused = client.is_now("waiting")
    assert (refused["opened"], refused["status"]) == (False, 401)
    assert "expired" in refused["reason"]
    assert client.is_now("open")["transport"] == "websocket"
    other = connect(url, "wrong", "wrong, too", token())
    assert other.is_now("closed")["status"] == 401
    assert other.asked == 2


@pytest.mark.parametrize("tokens", [("wrong",), ()])
def test_who_wants_a_websocket_alone_is_told_why_there_is_none(
    connect: Connect, start: Start, tokens: tuple[str, ...]
) -> None:
    """A browser doesn't say why; a plain request is answered, and then it stays away."""
    gateway = start(**SETTINGS)
    closed = connect(f"ws://127.0.0.1:{gateway.port}/ws/a", *tokens, transport="websocket").is_now("closed")
    assert (closed["opened"], closed["code"], closed["status"]) == (False, 1006, 401)
    assert closed["reason"]


@pytest.mark.parametrize("transport", ["auto", "websocket", "events"])
def test_without_a_right_it_stays_away_and_says_why(connect: Connect, start: Start, transport: str) -> None:
    gateway = start(**SETTINGS)
    client = connect(f"ws://127.0.0.1:{gateway.port}/ws/b", token(), transport=transport)
    closed = client.is_now("closed")
    assert (closed["opened"], closed["code"], closed["status"]) == (False, 1006, 403)
    assert closed["reason"]


@both
def test_who_may_only_listen_is_closed_when_it_writes(connect: Connect, start: Start, transport: str) -> None:
    gateway = start(**SETTINGS)
    client = connect(f"ws://127.0.0.1:{gateway.port}/ws/a", token(rights="r"), transport=transport)
    client.is_now("open")
    client.send("hello")
    closed = client.is_now("closed")
    assert (closed["opened"], closed["code"]) == (True, 1008)


def test_it_tries_again_when_there_was_no_token(connect: Connect, home: GatewayProcess, channel: str) -> None:
    """As when the back end that makes them is away for a moment."""
    client = connect(f"ws://127.0.0.1:{home.port}/ws/{channel}", None, None, "")
    for times in (1, 2):
        assert client.is_now("waiting", times)["reason"] == "no token: log in first"
    client.is_now("open")


async def ann(request: ConnectRequest) -> Grant | None:
    """Let in who has one token; RELAY_AUTH names this function."""
    return Grant("ann", {"a": "rw"}) if request.query.get("token") == "clé à molette" else None


@both
def test_a_token_that_no_header_can_carry_takes_the_address(connect: Connect, start: Start, transport: str) -> None:
    gateway = start(auth=f"{__name__}.ann", history_size=100)
    client = connect(f"ws://127.0.0.1:{gateway.port}/ws/a?echo=1", "clé à molette", transport=transport)
    client.is_now("open")
    client.send("hello")
    client.hears("hello")


@both
def test_who_was_closed_by_a_back_end_stays_away(connect: Connect, start: Start, transport: str) -> None:
    gateway = start(**SETTINGS)
    client = connect(f"ws://127.0.0.1:{gateway.port}/ws/a", token(), transport=transport)
    client.is_now("open")
    call(gateway, "disconnect", user="ann")
    closed = client.is_now("closed")
    assert (closed["opened"], closed["code"], closed["reason"]) == (True, 3503, "force disconnect")
