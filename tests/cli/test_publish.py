"""`relay publish`: straight to Redis, or through a gateway."""

from __future__ import annotations

import pytest
from aiohttp import web

from relay.cli.unreachable import START_ONE
from tests.cli.command import Outcome, invoke, invoke_aside, run
from tests.conftest import EmbeddedFactory
from tests.harness.centrifuge_client import centrifuge
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer
from tests.harness.stand_in import StandIn
from tests.harness.websocket_client import connected


@pytest.mark.parametrize(
    ("arguments", "stdin", "expected"),
    [
        (["hello"], b"", "hello"),
        (["-"], b"from a pipe\n", "from a pipe"),
        ([], b"two\r\nlines\r\n", "two\r\nlines"),
        ([], b"", ""),
        ([], "雪\n\n".encode(), "雪\n"),
        (["--binary", "hello"], b"", b"hello"),
        (["--binary"], b"\x00\xff\n", b"\x00\xff\n"),
        (["--", "--binary"], b"", "--binary"),
    ],
)
async def test_a_message_goes_through_a_gateway(
    embedded: EmbeddedFactory, channel: str, arguments: list[str], stdin: bytes, expected: str | bytes
) -> None:
    """With the memory broker there is no other way; the command answers once the message is delivered."""
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/ws/{channel}") as (listener,):
        outcome = await invoke_aside("publish", "--gateway", gateway.url, channel, *arguments, stdin=stdin)
        assert outcome == Outcome(0, f"delivered by {gateway.url}\n", "")
        assert await listener.receive(1) == [expected]


async def test_the_gateway_of_this_machine_is_found_in_the_settings(embedded: EmbeddedFactory, channel: str) -> None:
    """RELAY_HOST and RELAY_PORT are those of the gateway."""
    (gateway,) = await embedded(1)
    assert (await run("publish", channel, "hello", RELAY_PORT=gateway.port)).code == 0


async def test_a_message_goes_straight_to_redis(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str, channel: str
) -> None:
    """And the answer counts the gateways that heard it."""
    flags = ("--broker-url", redis_server.url, "--broker-prefix", prefix)
    unheard = await invoke_aside("publish", *flags, channel, "hello")
    assert unheard == Outcome(0, f"heard by no client: no gateway has a subscriber of {channel}\n", "")
    started = await embedded(2, broker_url=redis_server.url, broker_prefix=prefix)
    async with connected(*(f"{gateway.url}/ws/{channel}" for gateway in started)) as clients:
        outcome = await run("publish", channel, "hello", RELAY_BROKER_URL=redis_server.url, RELAY_BROKER_PREFIX=prefix)
        assert outcome == Outcome(0, "heard by 2 gateways\n", "")
        for client in clients:
            assert await client.receive(1) == ["hello"]
        await clients[0].close()
        outcome = await invoke_aside("publish", *flags, "--binary", channel, stdin=b"\xff")
        assert outcome.output in ("heard by 1 gateway\n", "heard by 2 gateways\n")
        assert await clients[1].receive(2) == ["hello", b"\xff"]


async def test_a_message_with_a_known_key_is_not_published_again(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str, channel: str
) -> None:
    """And the answer is that of the first time."""
    flags = ("--broker-url", redis_server.url, "--broker-prefix", prefix, "--idempotency-key", "order 42")
    (gateway,) = await embedded(1, broker_url=redis_server.url, broker_prefix=prefix)
    async with connected(f"{gateway.url}/ws/{channel}") as (client,):
        for text in ("hello", "again"):
            assert await invoke_aside("publish", *flags, channel, text) == Outcome(0, "heard by 1 gateway\n", "")
        assert (await invoke_aside("publish", *flags[:4], channel, "last")).code == 0
        assert await client.receive(2) == ["hello", "last"]


async def test_a_key_counts_at_a_gateway_without_redis_too(embedded: EmbeddedFactory, channel: str) -> None:
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/ws/{channel}") as (client,):
        for url in (gateway.url, gateway.url.replace("ws", "http")):
            for payload in ("hello", "again"):
                flags = ("--gateway", url, "--idempotency-key", 'order "42"')
                outcome = await invoke_aside("publish", *flags, channel, payload)
                assert outcome == Outcome(0, f"published by {gateway.url}\n", "")
        assert (await run("publish", "--idempotency-key", "b", channel, "\xe4", RELAY_PORT=gateway.port)).code == 0
        assert await client.receive(2) == ["hello", "\xe4"]


async def test_a_gateway_that_does_not_take_a_message_with_a_key_is_reported(
    embedded: EmbeddedFactory, channel: str
) -> None:
    (gateway,) = await embedded(1, max_message_bytes=4)
    flags = ("--gateway", gateway.url, "--idempotency-key", "k")
    outcome = await invoke_aside("publish", *flags, channel, "hello")
    assert (outcome.code, outcome.output) == (1, "")
    assert outcome.errors.startswith(f"relay: not delivered to {channel}: {gateway.url} answered HTTP 413: ")
    port = free_port()
    outcome = await run("publish", "--idempotency-key", "k", channel, "hello", RELAY_PORT=port)
    assert outcome.code == 1
    assert outcome.errors.startswith(f"relay: not delivered to {channel}: ws://127.0.0.1:{port} did not publish it: ")
    assert outcome.errors.endswith("can't be reached: connection refused\n")


async def test_tags_go_along_with_a_message(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str, channel: str
) -> None:
    """To clients whose protocol has them."""
    flags = ("--broker-url", redis_server.url, "--broker-prefix", prefix, "--tag", "kind=order", "--tag", "sum=1=1")
    (gateway,) = await embedded(1, broker_url=redis_server.url, broker_prefix=prefix)
    async with centrifuge(gateway.url) as (client,):
        await client.subscribe(channel)
        assert (await invoke_aside("publish", *flags, channel, "[42]")).code == 0
        await wait_until(lambda: len(client.told("pub")) == 1)
    assert client.told("pub") == [{"data": [42], "tags": {"kind": "order", "sum": "1=1"}}]


async def test_one_gateway_is_one_gateway(redis_server: RedisServer, embedded: EmbeddedFactory, channel: str) -> None:
    """Not gateways."""
    (gateway,) = await embedded(1, broker_url=redis_server.url)
    async with connected(f"{gateway.url}/ws/{channel}"):
        outcome = await invoke_aside("publish", "--broker-url", redis_server.url, channel, "hello")
        assert outcome == Outcome(0, "heard by 1 gateway\n", "")


async def test_redis_away_is_reported(channel: str) -> None:
    """One line, without a password; exit code 1."""
    outcome = await run("publish", channel, "hello", RELAY_BROKER_URL=f"redis://user:secret@127.0.0.1:{free_port()}")
    assert outcome.code == 1
    assert outcome.output == ""
    assert outcome.errors.startswith(f"relay: not delivered to {channel}: bus unavailable: ")
    assert outcome.errors.count("\n") == 1
    assert "secret" not in outcome.errors


async def test_a_gateway_away_is_reported(channel: str) -> None:
    """One line; exit code 1."""
    port = free_port()
    outcome = await run("publish", channel, "hello", RELAY_PORT=port)
    assert outcome.code == 1
    reason = f"ws://127.0.0.1:{port} can't be reached: connection refused; {START_ONE}"
    assert outcome.errors == f"relay: not delivered to {channel}: {reason}\n"


async def test_a_refusing_gateway_is_reported(stand_in: StandIn, channel: str) -> None:
    """With its answer."""

    async def full(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    url = await stand_in(full)
    outcome = await invoke_aside("publish", "--gateway", url, channel, "hello")
    busy = "answered HTTP 503: it is full, is shutting down, or can't reach its bus; ask `relay health`"
    assert outcome == Outcome(1, "", f"relay: not delivered to {channel}: {url} {busy}\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a b", "hello"], "white space"),
        (["--gateway", "localhost", "lobby", "hello"], "must look like http://host:8000"),
        (["--gateway", "ws://h", "--broker-url", "redis://h", "lobby", "hello"], "exclude each other"),
        (["lobby", "-"], "the message is not UTF-8: send it with --binary"),
        (["--broker-url", "http://h", "lobby", "hello"], "1 setting is wrong"),
        (["--idempotency-key", "", "lobby", "hello"], "an idempotency key must have 1 to 255 printable ASCII"),
        (["--tag", "kind", "lobby", "hello"], "'kind' is no NAME=TEXT"),
        (["--tag", "a=" + 4096 * "x", "lobby", "hello"], "must have at most 4096 bytes as JSON"),
        (["--tag", "a=1", "--tag", "a=2", "lobby", "hello"], "a message has one tag of a name"),
        (["--tag", "a=1", "--gateway", "ws://h", "lobby", "hello"], "--tag goes straight to Redis"),
        ([], "Missing argument 'CHANNEL'"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_sent(arguments: list[str], reason: str) -> None:
    """Exit code 2."""
    result = invoke("publish", *arguments, stdin=b"\xff")
    assert result.exit_code == 2
    assert reason in result.stderr


async def test_settings_that_are_not_needed_do_not_matter(
    embedded: EmbeddedFactory, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --gateway nothing is taken from them."""
    (gateway,) = await embedded(1)
    monkeypatch.setenv("RELAY_PORT", "many")
    assert (await invoke_aside("publish", "--gateway", gateway.url, channel, "hello")).code == 0
