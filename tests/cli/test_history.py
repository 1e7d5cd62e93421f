"""`relay history`: what a channel keeps, as an operator sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from relay import AsyncPublisher
from relay.brokers.history import HistoryPage
from relay.brokers.redis.history import RedisHistoryStore
from relay.brokers.redis.scripts import keys_of
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from tests.cli.command import Outcome, invoke, invoke_aside, run
from tests.conftest import EmbeddedFactory, ProxyFactory
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer

NAMESPACES = {
    "kept": ChannelOptions(history_size=5),
    "large": ChannelOptions(history_size=5000),
    "counted": ChannelOptions(positions=True),
}


class Bus:
    """A bus with a gateway, and a back end that publishes there.

    Args:
        server: its Redis.
        prefix: of its channels.
    """

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self.flags = ("--broker-url", server.url, "--broker-prefix", prefix)
        self.publisher = AsyncPublisher(server.url, prefix=prefix, namespaces=Namespaces(named=NAMESPACES))

    async def publish(self, channel: str, *data: str | bytes) -> None:
        """Publish messages."""
        for each in data:
            await self.publisher.publish(channel, each)

    async def history(self, channel: str, *arguments: str) -> Outcome:
        """Run the command."""
        return await invoke_aside("history", *self.flags, channel, *arguments)

    async def position(self, channel: str) -> Position:
        """Return the position of a channel."""
        answer = json.loads((await self.history(channel, "--limit", "0", "--json")).output)
        return Position(answer["epoch"], answer["offset"])


@pytest_asyncio.fixture
async def bus(embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str) -> AsyncIterator[Bus]:
    """A bus whose gateway has told what its channels keep."""
    (gateway,) = await embedded(1, broker_url=redis_server.url, broker_prefix=prefix, namespaces=NAMESPACES)
    await wait_until(lambda: gateway.ready)
    bus = Bus(redis_server, prefix)
    async with bus.publisher:
        yield bus


async def test_messages_are_printed_behind_their_offsets(bus: Bus) -> None:
    await bus.publish("kept:a", "1", "2", "three", '{"a": 4}', "two\nlines \x1b[31m", b"\x00\xff")
    outcome = await bus.history("kept:a")
    lines = ["2  2", "3  three", '4  {"a": 4}', "5  two\\nlines \\x1b[31m", "6  binary, 2 bytes: 00ff"]
    position = await bus.position("kept:a")
    assert outcome == Outcome(0, "\n".join(lines) + "\n", f"relay: 5 messages; the channel is at {position}\n")
    for arguments, expected in (
        (("--limit", "2"), lines[:2]),
        (("--limit", "2", "--reverse"), lines[:-3:-1]),
        (("--since", f"{position.epoch}:4"), lines[3:]),
        (("--since", f"{position.epoch}:4", "--limit", "1"), lines[3:4]),
        (("--since", f"{position.epoch}:4", "--reverse"), lines[1::-1]),
        (("--since", str(position)), []),
        (("--limit", "0"), []),
    ):
        outcome = await bus.history("kept:a", *arguments)
        assert (outcome.code, outcome.output.splitlines()) == (0, expected), arguments


async def test_what_is_missing_after_a_position_is_said(bus: Bus, redis_server: RedisServer, prefix: str) -> None:
    await bus.publish("kept:a", *"1234567")
    epoch = (await bus.position("kept:a")).epoch
    outcome = await bus.history("kept:a", "--since", f"{epoch}:0")
    assert outcome.errors == (
        f"relay: 2 messages after {epoch}:0 are no longer kept\nrelay: 5 messages; the channel is at {epoch}:7\n"
    )
    redis_server.admin.delete(keys_of(prefix, "kept:a").history)
    outcome = await bus.history("kept:a", "--since", f"{epoch}:6")
    assert outcome.errors == (
        f"relay: 1 message after {epoch}:6 is no longer kept\nrelay: 0 messages; the channel is at {epoch}:7\n"
    )


async def test_json_is_one_line_whatever_the_messages_are(bus: Bus) -> None:
    said: list[str | bytes] = ['{\n  "a": [1,\r\n2]\r}', "1\n", "two\nlines", '"\\n\u2028"', b"\n"]
    await bus.publish("kept:a", *said)
    outcome = await bus.history("kept:a", "--json")
    assert (outcome.output.count("\n"), outcome.output.count("\r")) == (1, 0)
    found = [publication["data"] for publication in json.loads(outcome.output)["publications"]]
    assert found == [{"a": [1, 2]}, 1, "two\nlines", "\n\u2028", None]


async def test_json_is_what_the_server_api_answers(bus: Bus) -> None:
    await bus.publish("kept:a", '{"a": 1}', "text", b"\x00")
    epoch = (await bus.position("kept:a")).epoch
    outcome = await bus.history("kept:a", "--json")
    assert (outcome.code, outcome.errors) == (0, "")
    assert json.loads(outcome.output) == {
        "publications": [
            {"data": {"a": 1}, "offset": 1},
            {"data": "text", "offset": 2, "text": True},
            {"data": None, "offset": 3, "b64data": "AA=="},
        ],
        "offset": 3,
        "epoch": epoch,
    }


async def test_a_history_of_many_pages_is_read_to_its_end(bus: Bus) -> None:
    await bus.publish("large:a", *(str(number) for number in range(1, 2051)))
    numbers = [str(number) for number in range(1, 2051)]
    for arguments, expected in (
        ((), numbers),
        (("--reverse",), numbers[::-1]),
        (("--limit", "1500"), numbers[:1500]),
        (("--limit", "1000"), numbers[:1000]),
    ):
        outcome = await bus.history("large:a", *arguments)
        assert [line.split()[1] for line in outcome.output.splitlines()] == expected, arguments


async def test_a_history_that_begins_anew_between_two_pages_is_not_mixed(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bus.publish("large:a", *(str(number) for number in range(1001)))
    read = RedisHistoryStore.read

    async def begin_anew(self: RedisHistoryStore, channel: str, **how: object) -> HistoryPage:
        page = await read(self, channel, **how)  # type: ignore[arg-type]  # as it was called
        return page if page.messages[0].position.offset == 1 else HistoryPage(Position("another", 5))

    monkeypatch.setattr(RedisHistoryStore, "read", begin_anew)
    outcome = await bus.history("large:a")
    assert outcome == Outcome(1, "", "relay: no history of large:a: the history began again meanwhile; try again\n")


async def test_why_there_is_no_history_is_said(bus: Bus) -> None:
    """Exit code 1, one line."""
    await bus.publish("kept:a", "1")
    position = await bus.position("kept:a")
    for arguments, reason in (
        (("plain",), "no gateway on this Redis keeps one; RELAY_HISTORY_SIZE and RELAY_NAMESPACES say which do"),
        (("counted:a",), "its messages are counted but not kept; --limit 0 shows the position"),
        (("kept:a", "--since", "other:1"), f"the position other:1 is no longer valid, the channel is at {position}"),
        (
            ("kept:a", "--since", f"{position.epoch}:2"),
            f"the position {position.epoch}:2 is no longer valid, the channel is at {position}",
        ),
    ):
        outcome = await bus.history(*arguments)
        assert outcome == Outcome(1, "", f"relay: no history of {arguments[0]}: {reason}\n")
    assert (await bus.history("counted:a", "--limit", "0")).code == 0


async def test_the_redis_of_the_settings_is_asked(redis_server: RedisServer, prefix: str, bus: Bus) -> None:
    await bus.publish("kept:a", "hello")
    outcome = await run("history", "kept:a", RELAY_BROKER_URL=redis_server.url, RELAY_BROKER_PREFIX=prefix)
    assert (outcome.code, outcome.output) == (0, "1  hello\n")


async def test_redis_away_is_reported_without_a_password() -> None:
    url = f"redis://user:secret@127.0.0.1:{free_port()}"
    outcome = await invoke_aside("history", "--broker-url", url, "lobby")
    assert (outcome.code, outcome.output, outcome.errors.count("\n")) == (1, "", 1)
    assert outcome.errors.startswith("relay: no history of lobby: Redis refuses or fails: ")
    assert "secret" not in outcome.errors


async def test_a_silent_redis_is_reported(
    redis_server: RedisServer, proxy_to: ProxyFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await proxy_to(redis_server.port)
    proxy.black_hole = True
    monkeypatch.setenv("RELAY_BROKER_TIMEOUT", "0.1")
    url = redis_server.url_of(port=proxy.port)
    outcome = await invoke_aside("history", "--broker-url", url, "lobby")
    assert outcome.code == 1
    assert "no answer from" in outcome.errors


async def test_what_no_gateway_has_written_is_not_believed(redis_server: RedisServer, prefix: str) -> None:
    redis_server.admin.set(f"{prefix}namespaces", "{}")
    outcome = await invoke_aside("history", "--broker-url", redis_server.url, "--broker-prefix", prefix, "lobby")
    assert outcome.code == 1
    assert f"{prefix}namespaces isn't written by a gateway" in outcome.errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lobby"], "memory:// keeps histories within its gateway"),
        (["--broker-url", "redis://h", "a b"], "white space"),
        (["--broker-url", "redis://h", "--since", "1", "lobby"], "a position is EPOCH:OFFSET"),
        (["--broker-url", "redis://h", "--limit", "-1", "lobby"], "-1 is not in the range"),
        (["--broker-url", "redis://h", "--since", "x:0", "--reverse", "lobby"], "nothing comes before the offset 0"),
        (["--broker-url", "http://h", "lobby"], "1 setting is wrong"),
        ([], "Missing argument 'CHANNEL'"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_read(arguments: list[str], reason: str) -> None:
    result = invoke("history", *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
