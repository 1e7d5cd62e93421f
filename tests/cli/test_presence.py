"""`relay presence`: who is on a channel, as an operator sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from relay.brokers import BrokerOptions
from relay.namespaces import ChannelOptions, Namespaces
from tests.brokers.presence_events import come, member
from tests.brokers.recording import Station
from tests.cli.command import Outcome, invoke, invoke_aside, run
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer

NAMESPACES = Namespaces(named={"room": ChannelOptions(presence=True)})

ANN, AGAIN = member(1, "ann", '{"color":\n"\x7f\u202ered"}'.encode()), member(2, "ann")
EVE, ODD = member(3), member(4, "a b\x1b[31m")

Presence = Callable[..., Awaitable[Outcome]]


@pytest_asyncio.fixture
async def presence(redis_server: RedisServer, prefix: str) -> AsyncIterator[Presence]:
    """Run the command on a bus where four clients are in `room:a`."""
    station = Station(BrokerOptions(redis_server.url, prefix, namespaces=NAMESPACES))
    await station.broker.start()
    await wait_until(lambda: not station.broker.problems)
    await station.broker.presence.update([come("room:a", EVE, ANN, AGAIN, ODD), come("room:one", EVE)])
    flags = ("--broker-url", redis_server.url, "--broker-prefix", prefix)
    yield lambda *arguments: invoke_aside("presence", *flags, *arguments)
    await station.broker.stop()


async def test_clients_are_printed_by_their_users(presence: Presence) -> None:
    lines = [
        f'{ODD.client}  "a b\\x1b[31m"  -'.replace("\\x1b", "\\u001b"),
        f'{ANN.client}  ann  {{"color":\\n"\\x7f\\u202ered"}}',
        f"{AGAIN.client}  ann  -",
        f"{EVE.client}  -  -",
    ]
    assert await presence("room:a") == Outcome(0, "\n".join(lines) + "\n", "relay: 4 clients, 3 users\n")
    assert (await presence("room:one")).errors == "relay: 1 client, 1 user\n"
    assert await presence("other") == Outcome(0, "", "relay: 0 clients, 0 users\n")


async def test_numbers_are_printed_alone(presence: Presence) -> None:
    assert await presence("room:a", "--stats") == Outcome(0, "4 clients, 3 users\n", "")


async def test_json_is_what_the_server_api_answers(presence: Presence) -> None:
    outcome = await presence("room:one", "--json")
    assert (outcome.code, outcome.errors) == (0, "")
    assert json.loads(outcome.output) == {"presence": {EVE.client: {"user": "", "client": EVE.client}}}
    outcome = await presence("room:a", "--json")
    assert outcome.output.count("\n") == 1, "one line, whatever a back end has said of a client"
    assert json.loads(outcome.output)["presence"][ANN.client]["conn_info"] == {"color": "\x7f\u202ered"}
    outcome = await presence("room:a", "--json", "--stats")
    assert json.loads(outcome.output) == {"num_clients": 4, "num_users": 3}


async def test_too_many_are_counted_only(presence: Presence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.brokers.presence.MAX_PRESENCE_BYTES", 300)
    reason = "too many clients are there to name them all; --stats tells how many"
    assert await presence("room:a") == Outcome(1, "", f"relay: no presence of room:a: {reason}\n")
    assert (await presence("room:a", "--stats")).code == 0


async def test_the_redis_of_the_settings_is_asked(redis_server: RedisServer, prefix: str, presence: Presence) -> None:
    outcome = await run("presence", "room:one", RELAY_BROKER_URL=redis_server.url, RELAY_BROKER_PREFIX=prefix)
    assert (outcome.code, outcome.output) == (0, f"{EVE.client}  -  -\n")


async def test_redis_away_is_reported_without_a_password() -> None:
    url = f"redis://user:secret@127.0.0.1:{free_port()}"
    outcome = await invoke_aside("presence", "--broker-url", url, "lobby")
    assert (outcome.code, outcome.output, outcome.errors.count("\n")) == (1, "", 1)
    assert outcome.errors.startswith("relay: no presence of lobby: Redis refuses or fails: ")
    assert "secret" not in outcome.errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lobby"], "memory:// keeps presence within its gateway"),
        (["--broker-url", "redis://h", "a b"], "white space"),
        (["--broker-url", "http://h", "lobby"], "1 setting is wrong"),
        ([], "Missing argument 'CHANNEL'"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_read(arguments: list[str], reason: str) -> None:
    result = invoke("presence", *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
