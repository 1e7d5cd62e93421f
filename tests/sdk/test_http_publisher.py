"""What a client publishes."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from aiohttp import web

from relay import Client, ClientRefused
from relay.errors import BusUnavailable, ChannelError, DeliveryUnknown
from relay.idempotency_key import IdempotencyKeyError
from relay.sdk.http_publisher import TRIES, Published
from tests.conftest import EmbeddedFactory
from tests.harness.free_port import free_port
from tests.harness.stand_in import StandIn
from tests.harness.websocket_client import connected
from tests.sdk.streams import Script, eager


async def test_a_message_reaches_every_client_of_its_channel(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces={"kept": {"history_size": 5}})
    sent: list[str | bytes] = ["hello", "a\r\nb", "雪", b"\x00\xff"]
    async with Client(gateway.url) as client, connected(f"{gateway.url}/ws/a/b") as (listener,):
        for data in sent:
            assert await client.publish("a/b", data) == Published(1, None)
        assert await listener.receive(len(sent)) == sent
        assert await client.publish("nobody", "hello") == Published(0, None)
        first, second = await client.publish("kept:a", "1"), await client.publish("kept:a", "2")
        assert (first.position or "").endswith(":1")
        assert (second.position or "").endswith(":2")


@pytest.mark.parametrize("size", [70_000, 20_000_000])
async def test_a_message_that_is_too_large_is_refused(embedded: EmbeddedFactory, size: int) -> None:
    """Whether the gateway reads it to its end or not."""
    (gateway,) = await embedded(1)
    async with Client(gateway.url) as client:
        with pytest.raises(ClientRefused, match="HTTP 413"):
            await client.publish("lobby", bytes(size))


async def test_a_message_with_a_key_is_published_once(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces={"kept": {"history_size": 5}})
    async with Client(gateway.url) as client:
        published = [await client.publish("kept:a", "hello", idempotency_key=r'a "key" \ more') for _ in range(2)]
        assert published[0] == published[1]
        assert published[0] != await client.publish("kept:a", "hello", idempotency_key="another")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, BusUnavailable), (504, DeliveryUnknown), (502, DeliveryUnknown), (429, ClientRefused), (413, ClientRefused)],
)
async def test_what_is_not_published_says_so(stand_in: StandIn, status: int, kind: type[Exception]) -> None:
    script = Script(web.Response(status=status, text="why not"))
    async with eager(await stand_in(script.answer)) as client:
        with pytest.raises(kind, match="why not"):
            await client.publish("a", "hello")
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"gateways":"1"}', b'{"gateways":1,"position":[]}', b"[" * 100_000, b" " * 100_000_000],
    ids=lambda body: f"{body[:20]!r}",
)
async def test_an_answer_that_no_relay_gives_tells_nothing(stand_in: StandIn, body: bytes) -> None:
    script = Script(web.Response(body=body, content_type="application/json"))
    async with eager(await stand_in(script.answer)) as client:
        with pytest.raises(DeliveryUnknown, match="answers what no relay does"):
            await client.publish("a", "hello")


async def test_a_message_with_a_key_is_tried_again(stand_in: StandIn) -> None:
    done = web.json_response({"channel": "a", "gateways": 2})
    for answers, tries in (
        ([web.Response(status=503), web.Response(status=504), web.Response(status=429), done], 4),
        ([web.Response(status=503)], TRIES),
    ):
        script = Script(*answers)
        async with eager(await stand_in(script.answer)) as client:
            if tries == TRIES:
                with pytest.raises(BusUnavailable):
                    await client.publish("a", "hello", idempotency_key="key")
            else:
                assert await client.publish("a", "hello", idempotency_key="key") == Published(2, None)
        assert len(script.requests) == tries
        assert all(one.headers == other.headers for one, other in pairwise(script.requests))


async def test_a_gateway_that_is_away_has_not_published() -> None:
    async with Client(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(BusUnavailable, match="can't be reached"):
            await client.publish("a", "hello")


async def test_a_gateway_that_does_not_answer_may_have_published(stand_in: StandIn) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    for handler in (hang, drop):
        async with Client(await stand_in(handler), publish_timeout=0.1 if handler is hang else 60) as client:
            with pytest.raises(DeliveryUnknown, match=r"did not answer|without an answer|broke off"):
                await client.publish("a", "hello")


async def test_wrong_names_and_keys_are_told_at_once() -> None:
    async with Client("http://localhost:1") as client:
        with pytest.raises(ChannelError):
            await client.publish("my lobby", "hello")
        with pytest.raises(IdempotencyKeyError):
            await client.publish("lobby", "hello", idempotency_key="")
    with pytest.raises(RuntimeError, match="closed"):
        await client.publish("lobby", "hello")
