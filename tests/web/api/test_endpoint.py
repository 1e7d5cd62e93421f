"""The HTTP side of the server API: keys, and requests that are wrong."""

from __future__ import annotations

import gzip
import random

import pytest

from relay import Gateway
from relay.web.api.not_available import NOT_AVAILABLE
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.http_response import get, send_request
from tests.harness.server_api import KEY, call, call_raw, request
from tests.harness.websocket_client import connected


async def start(embedded: EmbeddedFactory, **settings: object) -> Gateway:
    """Start a gateway whose API is on."""
    (gateway,) = await embedded(1, **{"api_keys": f"another-key-for-rotation,{KEY}", **settings})
    return gateway


async def test_without_keys_the_api_is_off_and_says_how_to_turn_it_on(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    for response in (await call_raw(gateway.port, "info", b"{}"), await get(gateway.port, "/api/openapi.json")):
        assert response.status == 404
        assert "RELAY_API_KEYS" in response.json["error"]["message"]


@pytest.mark.parametrize(
    "header",
    [
        f"X-API-Key: {KEY}",
        "X-API-Key: another-key-for-rotation",
        f"Authorization: apikey {KEY}",
        f"authorization: ApiKey  {KEY}",
    ],
)
async def test_each_key_opens_in_either_header(embedded: EmbeddedFactory, header: str) -> None:
    gateway = await start(embedded)
    response = await send_request(gateway.port, request("/api/info", b"{}", header))
    assert (response.status, list(response.json)) == (200, ["result"])


@pytest.mark.parametrize(
    "header",
    [
        "X-Nothing: 1",
        "X-API-Key: wrong",
        f"X-API-Key: {KEY}x",
        f"X-API-Key: {KEY[:-1]}",
        "X-API-Key: ",
        f"Authorization: Bearer {KEY}",
        f"Authorization: {KEY}",
        f"X-API-Key: {'x' * 8000}",
        f"Cookie: X-API-Key={KEY}",
    ],
)
async def test_nothing_else_opens(embedded: EmbeddedFactory, header: str) -> None:
    gateway = await start(embedded)
    response = await send_request(gateway.port, request("/api/publish", b'{"channel":"a","data":1}', header))
    assert response.status == 401
    assert response.json["error"]["code"] == 101
    assert gateway.counters.messages_published == 0
    assert gateway.counters.api_requests == {"publish 101": 1}


async def test_a_key_in_bytes_that_are_no_text_is_wrong_like_any_other(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    head = b"POST /api/info HTTP/1.1\r\nHost: localhost\r\nX-API-Key: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}"
    assert (await send_request(gateway.port, head)).status == 401


async def test_a_stranger_is_refused_before_the_body_is_read(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    response = await send_request(gateway.port, request("/api/publish", b"", "Content-Length: 900000"), within=5)
    assert response.status == 401
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "truncated"),
        (b"", "channel"),
        (b"\xff", "UTF-8"),
        (b'{"channel":"a","data":"\xff"}', "UTF-8"),
        (b'{"channel":"a","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
        (b'{"channel":"\\ud800","data":1}', "surrogate"),
        (b'{"channel":"a","data":01}', "malformed"),
        (b'{"channel":"a","data":NaN}', "malformed"),
        (b'\xef\xbb\xbf{"channel":"a","data":1}', "malformed"),
    ],
)
async def test_what_is_no_json_is_refused(embedded: EmbeddedFactory, body: bytes, word: str) -> None:
    gateway = await start(embedded)
    response = await call_raw(gateway.port, "publish", body)
    assert response.status == (200 if body == b"" else 400)
    assert response.json["error"]["code"] == 107
    assert word in response.json["error"]["message"]
    assert gateway.counters.messages_published == 0


async def test_methods_and_verbs_that_do_not_exist(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    response = await call_raw(gateway.port, "publsh", b"{}")
    assert (response.status, response.json["error"]["code"]) == (404, 104)
    wrong = request("/api/publish", b"", f"X-API-Key: {KEY}", method="GET")
    response = await send_request(gateway.port, wrong)
    assert (response.status, response.headers["allow"]) == (405, "POST")
    assert gateway.counters.api_requests == {"unknown 104": 1, "publish 104": 1}


@pytest.mark.parametrize("method", ["presence", "presence_stats", "history", "history_remove", *NOT_AVAILABLE])
async def test_what_the_relay_does_not_keep_is_not_available(embedded: EmbeddedFactory, method: str) -> None:
    gateway = await start(embedded)
    assert (await call(gateway.port, method, {"channel": "a"}))["error"]["code"] == 108


async def test_bodies_are_bounded_and_not_unpacked(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    large = b'{"channel":"a","data":"' + b"x" * 1024 * 1024 + b'"}'
    response = await call_raw(gateway.port, "publish", large)
    assert (response.status, response.json["error"]["code"]) == (413, 106)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    response = await call_raw(gateway.port, "publish", chunk * 17 + b"0\r\n\r\n", "Transfer-Encoding: chunked")
    assert response.status == 413
    bomb = gzip.compress(b'{"channel":"a","data":"' + b"x" * 10_000_000 + b'"}')
    response = await call_raw(gateway.port, "publish", bomb, "Content-Encoding: gzip")
    assert (response.status, response.json["error"]["code"]) == (415, 107)
    response = await call_raw(gateway.port, "publish", b"{}", "Content-Type: application/json; charset=utf-16")
    assert response.status == 415


async def test_a_body_in_chunks_is_read(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with connected(f"{gateway.url}/ws/a") as (client,):
        body = b'10\r\n{"channel":"a","\r\n8\r\ndata":1}\r\n0\r\n\r\n'
        response = await call_raw(gateway.port, "publish", body, "Transfer-Encoding: chunked")
        assert response.json == {"result": {}}
        assert await client.receive(1) == ["1"]
    response = await call_raw(gateway.port, "publish", b"zz\r\n", "Transfer-Encoding: chunked")
    assert response.status == 400


async def test_keys_are_never_logged(embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    gateway = await start(embedded)
    await call(gateway.port, "info", {})
    await call_raw(gateway.port, "info", b"{}", key=f"{KEY}-nearly")
    assert KEY not in caplog.text


async def test_an_error_does_not_repeat_all_of_a_long_name(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    reply = await call(gateway.port, "publish", {"x" * 100_000: 1})
    assert reply["error"]["code"] == 107
    assert len(reply["error"]["message"]) < 400


async def test_nonsense_is_never_a_fault_of_ours(embedded: EmbeddedFactory) -> None:
    """Bytes of a good request, changed here and there."""
    gateway = await start(embedded)
    good = b'{"channels":["a","b"],"data":{"x":[1,2,"\\u00e9"]},"b64data":"AAE=","tags":{"k":"v"}}'
    chance = random.Random(1)
    for _ in range(150):
        body = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        assert (await call_raw(gateway.port, "broadcast", bytes(body))).status in (200, 400)


async def test_after_too_many_wrong_keys_an_address_is_refused_also_with_the_right_one(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the answer would tell which key is right, however many were tried."""
    monkeypatch.setattr("relay.limits.gateway_limits.FAILURES_PERIOD_SECONDS", 1.5)
    gateway = await start(embedded, max_failed_authentications=3)
    for _ in range(3):
        wrong = request("/api/info", b"{}", "X-API-Key: wrong-key-of-a-stranger")
        assert (await send_request(gateway.port, wrong)).status == 401
    response = await call_raw(gateway.port, "info", b"{}")
    assert (response.status, response.headers["retry-after"]) == (429, "1")
    assert response.json == {"error": {"code": 111, "message": "too many failed authentications from this address"}}
    assert gateway.counters.limits_reached == {"failed_authentications": 1}

    async def opened() -> bool:
        return (await call_raw(gateway.port, "info", b"{}")).status == 200

    await wait_until(opened)


async def test_requests_without_a_key_are_no_failed_authentications(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, max_failed_authentications=1)
    for _ in range(3):
        response = await send_request(gateway.port, request("/api/info", b"{}", "X-Nothing: 1"))
        assert response.status == 401
