"""Messages from before a client had come: who gets them, and over which protocol."""

from __future__ import annotations

import pytest

from relay import Gateway
from relay.auth.authenticator import Identity
from tests.conftest import EmbeddedFactory
from tests.gateway.admissions import Authenticator, Rights, guarded
from tests.harness.event_source import EventStreamClient
from tests.harness.http_response import get
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.websocket_client import connected

KEPT = "kept:a"


NAMESPACES = {"kept": {"history_size": 5}, "counted": {"positions": True}}


async def publish(gateway: Gateway, *texts: str) -> None:
    """Publish messages."""
    for text in texts:
        await gateway.publish(KEPT, text)


@pytest.mark.parametrize(("asked", "given"), [(0, ""), (1, "7"), (3, "567"), (5, "34567"), (999_999_999, "34567")])
async def test_a_websocket_gets_the_newest_messages_before_live_ones(
    embedded: EmbeddedFactory, asked: int, given: str
) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    await publish(gateway, *"1234567")
    async with connected(f"{gateway.url}/ws/{KEPT}?history={asked}") as (client,):
        await publish(gateway, "8")
        assert await client.receive(len(given) + 1) == [*given, "8"]


async def test_an_event_stream_gets_them_and_resumes_where_it_was(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    await publish(gateway, *"123")
    target = f"/sse/{KEPT}?history=2"
    async with EventStreamClient(gateway.port, target) as stream:
        assert await stream.receive(2) == ["2", "3"]
        last = stream.parser.last_id
    await publish(gateway, *"45")
    # A browser asks by the same URL again.
    async with EventStreamClient(gateway.port, target, f"Last-Event-ID: {last}") as stream:
        assert await stream.receive(2) == ["4", "5"]
        assert stream.missed == []
    async with EventStreamClient(gateway.port, f"/sse/{KEPT}?last_event_id={last}") as stream:
        assert await stream.receive(2) == ["4", "5"]
        last = stream.parser.last_id
    async with EventStreamClient(gateway.port, target, f"Last-Event-ID: {last}") as stream:
        await publish(gateway, "6")
        assert await stream.receive(1) == ["6"]
        assert stream.missed == []


async def test_a_stream_without_messages_knows_its_position(embedded: EmbeddedFactory) -> None:
    """One that breaks before its first event resumes, too."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with EventStreamClient(gateway.port, f"/sse/{KEPT}") as stream:
        last = await stream.position()
    await publish(gateway, "1")
    async with EventStreamClient(gateway.port, f"/sse/{KEPT}", f"Last-Event-ID: {last}") as stream:
        assert await stream.receive(1) == ["1"]


@pytest.mark.parametrize("channel", [KEPT, "counted:a", "plain"])
async def test_a_stream_that_cannot_resume_is_told_and_goes_on(embedded: EmbeddedFactory, channel: str) -> None:
    """Another epoch, or a channel that counts no messages."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with EventStreamClient(gateway.port, f"/sse/{channel}", "Last-Event-ID: other:3") as stream:
        await gateway.publish(channel, "live")
        assert await stream.receive(1) == ["live"]
        assert [count for count, _ in stream.missed] == [0]
        assert (stream.missed[0][1] is None) is (channel == "plain")


async def test_a_position_of_a_channel_that_only_counts_is_good_as_long_as_nothing_came(
    embedded: EmbeddedFactory,
) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with EventStreamClient(gateway.port, "/sse/counted:a") as stream:
        await gateway.publish("counted:a", "one")
        await stream.receive(1)
        last = stream.parser.last_id
    for published, missed in (([], 0), (["two"], 1)):
        for text in published:
            await gateway.publish("counted:a", text)
        async with EventStreamClient(gateway.port, "/sse/counted:a", f"Last-Event-ID: {last}") as stream:
            await gateway.publish("counted:a", "live")
            await stream.receive(1)
            assert len(stream.missed) == missed
            last = stream.parser.last_id


@pytest.mark.parametrize(("channel", "status"), [("plain", 400), ("counted:a", 400)])
async def test_a_channel_that_keeps_none_says_so(embedded: EmbeddedFactory, channel: str, status: int) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    for target in (f"/sse/{channel}?history=2", f"/poll/{channel}?history=2"):
        answer = await get(gateway.port, target)
        assert (answer.status, answer.text) == (status, "history: this channel keeps no messages\n")
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade(f"/ws/{channel}?history=2")).status == status
    assert not gateway.counters.connections_open


@pytest.mark.parametrize("kind", ["ws", "sse", "poll"])
async def test_the_newest_messages_need_a_right_and_going_on_needs_none(kind: str) -> None:
    """Else no client could come back."""
    rights = Rights(subscribe=KEPT)
    async with guarded(Authenticator(lambda: Identity("ann", rights)), namespaces=NAMESPACES) as gateway:
        target = f"/{kind}/{KEPT}?history=2"
        if kind == "ws":
            async with RawWebSocket(gateway.port) as client:
                assert (await client.upgrade(target)).status == 403
        else:
            answer = await get(gateway.port, target)
            assert (answer.status, answer.text) == (403, "you may not read the history of this channel\n")
        assert rights.asked == [("subscribe", KEPT), ("history", KEPT)]
        position = f"/{kind}/{KEPT}?wait=0&last_event_id=e:1&cursor=e:1"
        if kind == "poll":
            assert (await get(gateway.port, position)).json["missed"] is True
        elif kind == "sse":
            async with EventStreamClient(gateway.port, position) as stream:
                assert stream.head.status == 200


@pytest.mark.parametrize("kind", ["sse", "poll"])
async def test_the_right_to_subscribe_includes_reading_what_is_kept(kind: str) -> None:
    """docs/auth.md says so: the position before all messages is one, too, and everybody who subscribes learns it."""
    async with guarded(
        Authenticator(lambda: Identity("ann", Rights(subscribe=KEPT))), namespaces=NAMESPACES
    ) as gateway:
        await publish(gateway, "1", "2")
        cursor = (await get(gateway.port, f"/poll/{KEPT}?wait=0")).json["cursor"]
        beginning = f"{cursor.partition(':')[0]}:0"
        if kind == "poll":
            answer = (await get(gateway.port, f"/poll/{KEPT}?cursor={beginning}")).json
            assert [element["text"] for element in answer["messages"]] == ["1", "2"]
        else:
            async with EventStreamClient(gateway.port, f"/sse/{KEPT}?last_event_id={beginning}") as stream:
                assert await stream.receive(2) == ["1", "2"]


async def test_a_client_with_the_right_gets_them() -> None:
    rights = Rights(subscribe=KEPT, history=KEPT)
    async with guarded(Authenticator(lambda: Identity("ann", rights)), namespaces=NAMESPACES) as gateway:
        await publish(gateway, "1")
        async with connected(f"{gateway.url}/ws/{KEPT}?history=2") as (client,):
            assert await client.receive(1) == ["1"]
