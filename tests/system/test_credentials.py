"""What clients get for their credentials, by every way in: over real sockets, with keys, tokens and a function."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from relay import Gateway, Settings
from tests.auth.key_pairs import P256, RSA, pem_of
from tests.harness.http_response import send_request
from tests.harness.inside import parts_of
from tests.harness.websocket_client import connected
from tests.system.credentials import SECRET, ask, confused, every_way, token, unsigned


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    settings = Settings(port=0, drain_seconds=0, auth="jwt", jwt_secret=SecretStr(SECRET), jwt_public_key=pem_of(RSA))
    async with Gateway(settings) as gateway:
        yield gateway


@every_way
async def test_a_client_without_a_token_is_refused_with_401(gateway: Gateway, way: str) -> None:
    answer = await ask(gateway, way, "chat:1")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "this relay wants a token: as Authorization: Bearer" in answer.text


@every_way
async def test_a_token_opens_the_channels_that_it_names(gateway: Gateway, way: str) -> None:
    welcome = 101 if way == "websocket" else 200
    given = token()
    assert (await ask(gateway, way, "chat:1", f"Authorization: Bearer {given}")).status == welcome
    assert (await ask(gateway, way, "chat:1", query=f"?token={given}")).status == welcome
    assert gateway.counters.connections_refused == {}


TIME: Final = int(time.time())

BAD_TOKENS: Final = {
    "malformed": "abc",
    "no parts": "...",
    "alg none": unsigned("none"),
    "alg NONE": unsigned("NONE"),
    "public key as secret": confused(),
    "another secret": token("a secret that this relay doesn't know, of 32 bytes"),
    "another algorithm": token(P256, "ES256"),
    "kid as a path": token("x" * 32, headers={"kid": "../../dev/null"}),
    "kid as an address": token("x" * 32, headers={"kid": "http://127.0.0.1:9/keys"}),
    "jku": token("x" * 32, headers={"jku": "http://127.0.0.1:9/keys"}),
    "x5u": token("x" * 32, headers={"x5u": "http://127.0.0.1:9/keys"}),
    "expired": token(exp=TIME - 60),
    "not yet valid": token(nbf=TIME + 3600),
    "a list of what are no channels": token(channels=["a b"]),
    "rights as text": token(channels="chat:*"),
    "rights of numbers": token(channels={"chat:*": 7}),
    "unknown right": token(channels={"chat:*": "rwx"}),
    "star inside": token(channels={"*:1": "rw"}),
    "too many patterns": token(channels={f"c{number}": "r" for number in range(129)}),
    "user with a line break": token(sub="ann\nroot"),
    "long user": token(sub="x" * 256),
    "long info": token(info="x" * 5000),
    "longer than 8 KiB": token(info="x" * 7000),
}


@every_way
@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_bad_token_is_refused_with_401_and_a_sentence(gateway: Gateway, way: str, kind: str) -> None:
    given = BAD_TOKENS[kind]
    answer = await ask(gateway, way, "chat:1", f"Authorization: Bearer {given}")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert len(answer.text.split()) > 3
    assert given not in answer.text
    assert "Traceback" not in answer.text


@every_way
async def test_a_token_that_no_request_can_carry_is_refused_before_it_is_read(gateway: Gateway, way: str) -> None:
    huge = "x" * 100_000
    if way == "websocket":
        answer = await send_request(
            gateway.port, f"GET /ws/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {huge}\r\n\r\n".encode()
        )
    else:
        answer = await ask(gateway, way, "chat:1", f"Authorization: Bearer {huge}")
    assert answer.status == 431


@every_way
@pytest.mark.parametrize(
    "channel",
    ["chat", "chatter:1", "Chat:1", "CHAT:1", "ch%D0%B0t:1", "%EF%BD%83hat:1", "chat%EF%BC%9A1", "lobby", "chat%253A1"],
)
async def test_a_right_for_other_channels_is_none(gateway: Gateway, way: str, channel: str) -> None:
    answer = await ask(gateway, way, channel, f"Authorization: Bearer {token()}")
    action = "publish to" if way == "publish" else "subscribe to"
    assert (answer.status, answer.text) == (403, f"you may not {action} this channel\n")


async def test_an_encoded_name_is_the_channel_that_it_encodes(gateway: Gateway) -> None:
    assert (await ask(gateway, "poll", "ch%61t%3A1", query=f"?token={token()}")).status == 200


@every_way
async def test_a_right_to_listen_is_none_to_publish(gateway: Gateway, way: str) -> None:
    answer = await ask(gateway, way, "news", query=f"?token={token()}")
    assert answer.status == {"websocket": 101, "publish": 403}.get(way, 200)


async def test_a_websocket_that_publishes_without_the_right_is_closed(gateway: Gateway) -> None:
    async with connected(f"{gateway.url}/ws/news?token={token()}") as (client,):
        await client.send("hello")
        assert await client.ended() == (1008, "not allowed")


async def test_a_page_brings_its_token_as_a_subprotocol_that_is_never_echoed(gateway: Gateway) -> None:
    offered: Any = ["chat", f"bearer.{token()}"]
    async with connect(f"{gateway.url}/ws/chat:1", subprotocols=offered) as client:
        assert client.subprotocol == "chat"
    async with connect(f"{gateway.url}/ws/chat:1", subprotocols=offered[1:]) as client:
        assert client.subprotocol is None


async def test_a_page_that_offers_nothing_beside_its_token_is_told_why_it_fails(gateway: Gateway) -> None:
    """Browsers end a connection that is answered without a subprotocol when they have offered some."""
    offered: Any = [f"bearer.{token()}"]
    own: Any = gateway.url.replace("ws", "http", 1)
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{gateway.url}/ws/chat:1", subprotocols=offered, origin=own)
    assert refused.value.response.status_code == 400
    assert b"a page must offer a subprotocol beside its credential" in refused.value.response.body


@pytest.mark.parametrize(
    "offered", ["bearer.{}, bearer.{}", "chat, bearer.{} x", "bearer.{}\x01", "BEARER.{}/", "chat, {}/"]
)
async def test_a_malformed_list_of_subprotocols_does_not_repeat_the_token(gateway: Gateway, offered: str) -> None:
    given = token()
    lines = f"Sec-WebSocket-Protocol: {offered.format(given, given)}\r\n"
    answer = await send_request(
        gateway.port,
        f"GET /ws/chat:1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{lines}"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode(),
    )
    assert answer.status == 400
    assert given not in answer.text


@every_way
async def test_two_credentials_that_differ_are_refused(gateway: Gateway, way: str) -> None:
    answer = await ask(gateway, way, "chat:1", f"Authorization: Bearer {token()}", query="?token=other")
    assert (answer.status, answer.text) == (400, "the request has two credentials that differ\n")


@pytest.mark.parametrize("way", ["events", "poll", "publish"])
async def test_what_a_page_of_another_site_embeds_fails_no_authentication(gateway: Gateway, way: str) -> None:
    """Else any page that one of them opens could lock out all people who share an address."""
    image = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")
    assert (await ask(gateway, way, "chat:1", *image, query="?token=a.b.c")).status == 403
    assert (await ask(gateway, way, "chat:1", *image, query=f"?token={token()}")).status == 403


@every_way
@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
async def test_a_header_with_a_credential_comes_once(way: str, name: str) -> None:
    """Else a proxy may check one of them, and the relay the other."""
    path = {"websocket": "GET /ws", "events": "GET /sse", "poll": "GET /poll", "publish": "POST /publish"}[way]
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    twice = f"{name}: Bearer a\r\n{name}: Bearer b\r\n"
    head = f"{path}/chat:1 HTTP/1.1\r\nHost: localhost\r\n{upgrade if way == 'websocket' else ''}{twice}"
    settings = Settings(port=0, drain_seconds=0, auth="jwt", jwt_secret=SecretStr(SECRET), auth_cookie="session")
    async with Gateway(settings) as gateway:
        answer = await send_request(gateway.port, f"{head}\r\n".encode())
    assert (answer.status, answer.text) == (400, f"more than one {name} header\n")


@every_way
async def test_pages_of_other_sites_are_refused_and_programs_are_not(gateway: Gateway, way: str) -> None:
    """With cookies each page that Ann visits could speak for her."""
    credential = f"Authorization: Bearer {token()}"
    evil = await ask(gateway, way, "chat:1", credential, "Origin: https://evil.example")
    host = f"127.0.0.1:{gateway.port}" if way == "websocket" else "localhost"
    own = await ask(gateway, way, "chat:1", credential, f"Origin: http://{host}")
    assert own.status in (101, 200)
    assert evil.status == 403


async def test_the_name_of_a_client_is_that_of_its_token(gateway: Gateway) -> None:
    """What it says in `?user=` counts for nothing."""
    async with connected(f"{gateway.url}/ws/chat:1?user=root&token={token()}"):
        assert [client.session.user for client in parts_of(gateway).context.registry] == ["ann"]
