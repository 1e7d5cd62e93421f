"""Answers that say no, of gateways and of what stands in front of them."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession, web

from relay.sdk.refusal import Refusal
from tests.harness.stand_in import StandIn
from tests.sdk.streams import Script


async def read(stand_in: StandIn, answer: web.Response) -> Refusal:
    """Return what a client reads of an answer."""
    url = (await stand_in(Script(answer).answer)).replace("ws", "http", 1)
    async with ClientSession() as session, session.get(f"{url}/sse/a", allow_redirects=False) as response:
        return await Refusal.read(response)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (web.Response(status=403, text="you may not\n"), "you may not"),
        (web.Response(status=403, text="red \x1b[31m alert"), r"red \x1b[31m alert"),
        (web.Response(status=502, text="<h1>Bad</h1>", content_type="text/html"), "Bad Gateway"),
        (web.Response(status=500, text="x" * 9000), "x" * 500),
        (web.Response(status=308, headers={"Location": "https://h/"}), "it redirects clients to https://h/"),
        (web.Response(text="{}", content_type="application/json"), "there is no relay at this address: the answer is"),
    ],
)
async def test_it_has_one_sentence(stand_in: StandIn, answer: web.Response, reason: str) -> None:
    refusal = await read(stand_in, answer)
    assert refusal.status == answer.status
    assert refusal.reason.startswith(reason)
    assert len(refusal.reason) <= 560


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("", 0.0),
        ("-1", 0.0),
        ("1e9", 0.0),
        ("9999999", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
    ],
)
async def test_a_gateway_may_ask_for_time(stand_in: StandIn, text: str, seconds: float) -> None:
    refusal = await read(stand_in, web.Response(status=503, headers={"Retry-After": text}))
    assert refusal.retry_after_seconds == seconds


def test_some_are_for_now_and_others_for_good() -> None:
    statuses = (200, 301, 400, 401, 403, 404, 408, 413, 421, 425, 429, 500, 502, 503, 504)
    assert [status for status in statuses if Refusal(status, "").for_now] == [408, 425, 429, 500, 502, 503, 504]
