"""Whatever a client does with its credential: it gets into no log, no metric, no answer and no traceback."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import jwt
import pytest

from tests.conftest import GatewayFactory
from tests.harness.gateway_process import GatewayProcess
from tests.harness.http_response import get
from tests.harness.raw_websocket import TEXT, RawWebSocket, encode_frame

SECRET = "canary-of-the-secret-0123456789-abcdef"
API_KEY = "canary-of-a-back-end-0123456789"
KEY = "canary-of-a-client-0123456789"

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)

PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "query": ("token={}", ()),
    "query of another name": ("access_token={}", ()),
    "query that is malformed": ("token={}&%ff=1", ()),
    "header": ("", ("Authorization: Bearer {}",)),
    "header in lower case": ("", ("authorization: bearer {}",)),
    "header of another scheme": ("", ("Authorization: Basic {}",)),
    "header twice": ("", ("Authorization: Bearer {}", "Authorization: Bearer {}")),
    "cookie": ("", ("Cookie: a=b; session={}",)),
    "cookie of another name": ("", ('Cookie: sid="{}"',)),
    "subprotocol": ("", ("Sec-WebSocket-Protocol: relay, bearer.{}",)),
    "subprotocol alone": ("", ("Sec-WebSocket-Protocol: bearer.{}",)),
    "subprotocol twice": ("", ("Sec-WebSocket-Protocol: bearer.{}, bearer.{}",)),
    "subprotocol that is malformed": ("", ("Sec-WebSocket-Protocol: relay, bearer.{} @",)),
    "subprotocol of another name": ("", ("Sec-WebSocket-Protocol: relay, token.{}",)),
    "two places": ("token={}x", ("Authorization: Bearer {}",)),
    "key of a back end": ("", ("X-API-Key: {}",)),
    "scheme of a back end": ("", ("Authorization: apikey {}",)),
    "in a header that is malformed": ("", ("Authorization; Bearer {}",)),
    "in a header with a control character": ("", ("Authorization: Bearer {}\x01",)),
    "in the name of a header": ("", ("{}: 1",)),
    "too long": ("token=" + "{}" * 200, ()),
    "much too long": ("", ("Authorization: Bearer " + "{}" * 800,)),
}
"""Where a credential stands, or where somebody may put it: in the query, or in lines of the head."""

REQUESTS: dict[str, tuple[str, tuple[str, ...], bytes]] = {
    "websocket": ("GET /ws/a", UPGRADE, b""),
    "websocket of a page": ("GET /ws/a", (*UPGRADE, "Origin: http://127.0.0.1"), b""),
    "websocket of another site": ("GET /ws/a", (*UPGRADE, "Origin: https://other.example"), b""),
    "websocket elsewhere": ("GET /nowhere", UPGRADE, b""),
    "websocket without the right": ("GET /ws/secret", UPGRADE, b""),
    "websocket of no channel": ("GET /ws/a%20b", UPGRADE, b""),
    "websocket with a bad parameter": ("GET /ws/a?echo=2", UPGRADE, b""),
    "websocket of another version": ("GET /ws/a", (*UPGRADE[:3], "Sec-WebSocket-Version: 7"), b""),
    "websocket with a broken key": ("GET /ws/a", (*UPGRADE[:2], "Sec-WebSocket-Key: a", UPGRADE[3]), b""),
    "websocket with a body": ("GET /ws/a", (*UPGRADE, "Content-Length: 2"), b"hi"),
    "websocket by a name of no relay": ("GET /ws/a", (*UPGRADE, "Host: other.example"), b""),
    "event stream": ("GET /sse/a", (), b""),
    "event stream of another site": ("GET /sse/a", ("Origin: https://other.example",), b""),
    "poll": ("GET /poll/a?wait=0", (), b""),
    "poll with a bad cursor": ("GET /poll/a?wait=0&cursor=x", (), b""),
    "poll with a bad method": ("BREW /poll/a", (), b""),
    "publish": ("POST /publish/a", ("Content-Type: text/plain", "Content-Length: 2"), b"hi"),
    "publish without the right": ("POST /publish/secret", ("Content-Length: 2",), b"hi"),
    "publish of no text": ("POST /publish/a", ("Content-Type: text/plain", "Content-Length: 1"), b"\xff"),
    "publish of too much": ("POST /publish/a", ("Content-Length: 10000000",), b""),
    "publish in a broken coding": ("POST /publish/a", ("Transfer-Encoding: chunked",), b"zz\r\n"),
    "publish in an unknown coding": ("POST /publish/a", ("Transfer-Encoding: x",), b""),
    "preflight": ("OPTIONS /publish/a", ("Origin: https://other.example",), b""),
    "api": ("POST /api/info", ("Content-Length: 2",), b"{}"),
    "api without JSON": ("POST /api/publish", ("Content-Length: 2",), b"{["),
    "page": ("GET /", ("Accept: text/html",), b""),
    "what the page learns": ("GET /demo/server.json", (), b""),
    "readiness": ("GET /readyz", (), b""),
    "metrics": ("GET /metrics", (), b""),
    "nothing": ("GET /nothing", (), b""),
    "another version of HTTP": ("GET /sse/a HTTP/9.9\r\nX: 1\r\n", (), b""),
}
"""What is asked for: method and path, lines of the head, the body."""


def request(place: str, asked: str, credential: str) -> bytes:
    """Return a request as it travels."""
    query, carrying = PLACES[place]
    start, lines, body = REQUESTS[asked]
    if query:
        start += ("&" if "?" in start else "?") + query
    head = [f"{start} HTTP/1.1", *lines, *carrying]
    if not any(line.startswith("Host:") for line in lines):
        head.insert(1, "Host: 127.0.0.1")
    return "\r\n".join(head).replace("{}", credential).encode("latin-1") + b"\r\n\r\n" + body


def tokens() -> Iterator[str]:
    """Yield tokens that are valid, with rights to one channel; no two are the same."""
    for number in itertools.count():
        claims = {"exp": int(time.time()) + 3600, "sub": "ann", "jti": f"canary-{number}", "channels": {"a": "rw"}}
        yield jwt.encode(claims, SECRET)


def parts(credential: str) -> list[str]:
    """Return what must not be seen of a credential: of a token its claims and its signature, too."""
    return [part for part in credential.split(".") if len(part) > 15 and part != jwt.encode({}, SECRET).split(".")[0]]


async def told(gateway: GatewayProcess, data: bytes) -> str:
    """Return all that a gateway answers to a request; a WebSocket sends a message, and then what it may not."""
    async with RawWebSocket(gateway.port) as client:
        await client.send(data)
        try:
            response = await client.response()
            said = f"{response.headers} {response.text}"
            if response.status == 101:
                await client.send(encode_frame(TEXT, b"hi") + encode_frame(TEXT, b"hi", masked=False))
                said += str(await client.frames_to_the_end())
        except EOFError:
            return ""
        return said


@pytest.mark.parametrize("auth", ["key", "jwt", "none"])
async def test_a_credential_gets_into_no_log_no_metric_and_no_answer(gateways: GatewayFactory, auth: str) -> None:
    """With every entry that there is, for requests in order and out of order, of clients that are let in or refused."""
    (gateway,) = await gateways(
        1,
        auth=auth,
        log_level="debug",
        jwt_secret=SECRET,
        auth_keys=f"{KEY};user=ann;a=rw",
        auth_cookie="session",
        api_keys=API_KEY,
    )
    valid = tokens()
    sent: dict[str, str] = {}
    seen: list[str] = []
    for number, (place, asked) in enumerate(itertools.product(PLACES, REQUESTS)):
        for credential in (f"canary-number-{number:06}-of-many", next(valid) if auth == "jwt" else KEY, API_KEY):
            sent[credential] = f"{asked}, {place}"
            answer = await told(gateway, request(place, asked, credential))
            seen += [f"answer to {asked}, {place}" for part in parts(credential) if part in answer]
    assert seen == []
    for target in ("/metrics", "/readyz", "/demo/server.json"):
        assert "canary" not in (await get(gateway.port, target)).text
    await gateway.terminate()
    log = gateway.output
    assert min(len(gateway.records(event)) for event in ("connected", "disconnected", "refused")) > 10
    assert sorted({why for credential, why in sent.items() for part in parts(credential) if part in log}) == []
    assert SECRET not in log
    assert gateway.complaints() == []


@pytest.mark.parametrize("function", ["fails", "answers_nonsense"])
async def test_a_function_with_a_fault_tells_no_credential(gateways: GatewayFactory, function: str) -> None:
    """Not even when the text of its error repeats it; that it fails is told."""
    path = f"tests.system.faulty_authenticators.{function}"
    (gateway,) = await gateways(1, auth=path, log_level="debug")
    for number, (place, asked) in enumerate(itertools.product(("query", "header"), REQUESTS)):
        answer = await told(gateway, request(place, asked, f"canary-number-{number:06}-of-many"))
        assert "canary" not in answer, (place, asked)
    assert "canary" not in (await get(gateway.port, "/metrics")).text
    await gateway.terminate()
    assert "canary" not in gateway.output
    assert function in gateway.output
    assert gateway.records("authenticator failed")
