"""What clients get for their credentials, by every way in: over real sockets, with keys, tokens and a function."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import jwt
import pytest
import pytest_asyncio
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from relay import Gateway, Settings
from relay.auth.authenticator import Identity
from relay.auth.grant import Grant
from relay.errors import Refused
from relay.protocols.request import ConnectRequest
from tests.auth.key_pairs import P256, RSA, pem_of
from tests.harness.http_response import HttpResponse, parse_head, send_request
from tests.harness.inside import parts_of
from tests.harness.websocket_client import connected

SECRET: Final = "the secret that only the issuer and the relay know, of 64 bytes."
KEY: Final = "k3y-of-the-deployment"
WAYS: Final = ("websocket", "events", "poll", "publish")

every_way = pytest.mark.parametrize("way", WAYS)


def token(secret: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **claims: Any) -> str:
    """Return a token of Ann that is valid for an hour, unless the claims say something else."""
    standard = {"sub": "ann", "exp": int(time.time()) + 3600, "channels": {"chat:*": "rw", "news": "r"}}
    return jwt.encode({**standard, **claims}, secret, algorithm, headers)


def unsigned(algorithm: str) -> str:
    """Return a token without a signature."""
    parts = ({"alg": algorithm}, {"sub": "ann", "exp": 2**33, "channels": {"chat:*": "rw"}})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def confused() -> str:
    """Return a token that is signed with the public key as a secret."""
    head = unsigned("HS256").rstrip(".")
    signature = jwt.get_algorithm_by_name("HS256").sign(head.encode(), pem_of(RSA).encode())
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    settings = Settings(port=0, drain_seconds=0, auth="jwt", jwt_secret=SecretStr(SECRET), jwt_public_key=pem_of(RSA))
    async with Gateway(settings) as gateway:
        yield gateway


async def ask(gateway: Gateway, way: str, channel: str, *headers: str, query: str = "") -> HttpResponse:
    """Send the request of a client that comes in by one of the ways, and return the answer.

    Args:
        gateway: where to.
        way: one of `WAYS`.
        channel: percent-encoded.
        headers: lines.
        query: of the URL, with the `?`.
    """
    lines = "".join(f"{line}\r\n" for line in ("Host: localhost", "Connection: close", *headers))
    if way == "poll":
        head = f"GET /poll/{channel}{query or '?'}&wait=0 HTTP/1.1\r\n{lines}\r\n"
        return await send_request(gateway.port, head.encode())
    if way == "publish":
        head = f"POST /publish/{channel}{query} HTTP/1.1\r\n{lines}Content-Type: text/plain\r\n"
        return await send_request(gateway.port, f"{head}Content-Length: 5\r\n\r\nhello".encode())
    if way == "events":
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        try:
            writer.write(f"GET /sse/{channel}{query} HTTP/1.1\r\n{lines}\r\n".encode())
            status, found = parse_head(await reader.readuntil(b"\r\n\r\n"))
            return HttpResponse(status, found, b"" if status == 200 else await reader.read())
        finally:
            writer.close()
    try:
        sent = dict(line.split(": ", 1) for line in headers)
        async with connect(f"{gateway.url}/ws/{channel}{query}", additional_headers=sent):
            return HttpResponse(101, {}, b"")
    except InvalidStatus as refused:
        return HttpResponse(
            refused.response.status_code,
            {name.lower(): value for name, value in refused.response.headers.raw_items()},
            bytes(refused.response.body),
        )


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


async def test_a_cookie_is_a_credential_where_the_settings_name_it() -> None:
    settings = Settings(port=0, drain_seconds=0, auth="jwt", jwt_secret=SecretStr(SECRET), auth_cookie="session")
    async with Gateway(settings) as gateway:
        for way in WAYS:
            answer = await ask(gateway, way, "chat:1", f"Cookie: a=b; session={token()}")
            assert answer.status == (101 if way == "websocket" else 200)
            assert (await ask(gateway, way, "chat:1", "Cookie: session=x")).status == 401


async def test_keys_let_in_whoever_has_one() -> None:
    keys = (KEY, "an0ther-key-of-bob;user=bob;chat:*=r;user:{sub}=rw")
    async with Gateway(Settings(port=0, drain_seconds=0, auth="key", auth_keys=tuple(map(SecretStr, keys)))) as gateway:
        assert (await ask(gateway, "poll", "anything", f"Authorization: Bearer {KEY}")).status == 200
        bob = "Authorization: Bearer an0ther-key-of-bob"
        assert (await ask(gateway, "poll", "user:bob", bob)).status == 200
        assert (await ask(gateway, "publish", "user:bob", bob)).status == 200
        assert (await ask(gateway, "publish", "chat:1", bob)).status == 403
        for wrong in (KEY[:-1], KEY + "x", KEY.upper(), "x" * 5000, "é" * 20):
            answer = await ask(gateway, "poll", "anything", query=f"?token={wrong.replace('é', '%C3%A9')}")
            assert (answer.status, answer.text) == (401, "the key is none of this relay's\n")


async def test_keys_without_rights_have_those_of_all_where_there_are_some() -> None:
    settings = Settings(port=0, drain_seconds=0, auth="key", auth_keys=(SecretStr(KEY),), rights={"news": "r"})
    async with Gateway(settings) as gateway:
        assert (await ask(gateway, "poll", "news", query=f"?token={KEY}")).status == 200
        assert (await ask(gateway, "poll", "chat:1", query=f"?token={KEY}")).status == 403


async def test_rights_can_be_limited_without_credentials() -> None:
    settings = Settings(port=0, drain_seconds=0, rights={"news": "r", "user:{sub}": "rw"})
    async with Gateway(settings) as gateway:
        assert (await ask(gateway, "poll", "news")).status == 200
        assert (await ask(gateway, "publish", "news")).status == 403
        assert (await ask(gateway, "publish", "user:ann", query="?user=ann")).status == 200
        assert (await ask(gateway, "publish", "user:ann", query="?user=bob")).status == 403


async def identify(request: ConnectRequest) -> Grant | None:
    """Decide by the name in the query, as a function of a program would."""
    name = request.query.get("name")
    if name == "late":
        raise Refused(403, "not at this time")
    return None if name is None else Grant(name, {"chat:*": "rw"})


async def test_a_function_decides() -> None:
    async with Gateway(Settings(port=0, drain_seconds=0, auth=f"{__name__}.identify")) as gateway:
        for way in WAYS:
            assert (await ask(gateway, way, "chat:1", query="?name=ann")).status in (101, 200)
            assert (await ask(gateway, way, "news", query="?name=ann")).status == 403
            assert (await ask(gateway, way, "chat:1")).status == 401
            late = await ask(gateway, way, "chat:1", query="?name=late")
            assert (late.status, late.text) == (403, "not at this time\n")


async def test_the_name_of_a_client_is_that_of_its_token(gateway: Gateway) -> None:
    """What it says in `?user=` counts for nothing."""
    async with connected(f"{gateway.url}/ws/chat:1?user=root&token={token()}"):
        assert [client.session.user for client in parts_of(gateway).context.registry] == ["ann"]


class Everybody:
    """An authenticator that a program brings; lets in whoever comes."""

    def identify(self, request: ConnectRequest) -> Identity:
        """See `relay.auth.authenticator.Authenticator`."""
        return Identity("ann")


async def test_pages_of_other_sites_are_refused_where_a_program_decides() -> None:
    async with Gateway(Settings(port=0, drain_seconds=0), authenticator=Everybody()) as gateway:
        assert (await ask(gateway, "websocket", "a", "Origin: https://evil.example")).status == 403
        assert (await ask(gateway, "websocket", "a")).status == 101
