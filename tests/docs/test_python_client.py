"""The examples of docs/python-client.md, run as they stand there."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

import pytest

import relay
from relay.errors import BusUnavailable, DeliveryUnknown
from relay.sdk.subscription import Subscription
from tests.conftest import EmbeddedFactory
from tests.docs.pages import code_blocks, table_below, text_of
from tests.harness.conditions import wait_until

PAGE = "docs/python-client.md"

BLOCKS = code_blocks(PAGE, "python")


def run(words: str, url: str = "", **names: Any) -> dict[str, Any]:
    """Run the one example in which some words stand, for a gateway, with names of a program; return its own names."""
    (found,) = (code for code in BLOCKS if words in code)
    code = found.replace("http://localhost:8000", url).replace("asyncio.run(main())", "")
    exec(code, names)
    return names


async def start(embedded: EmbeddedFactory) -> relay.Gateway:
    """Start a gateway that keeps orders."""
    (gateway,) = await embedded(1, namespaces={"orders": {"history_size": 10}})
    return gateway


async def test_a_program_listens_and_another_one_publishes(
    embedded: EmbeddedFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = await start(embedded)
    listening = asyncio.create_task(run("async def main", gateway.url)["main"]())
    await wait_until(lambda: gateway.counters.event_streams_open == 1)
    await run("async def greet", gateway.url)["greet"]()
    printed = ""

    def is_printed() -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return printed == "hello\n"

    await wait_until(is_printed)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


async def test_a_block_waits_for_one_answer(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with relay.Client(gateway.url) as client, client.subscribe("questions") as questions:
        asking = asyncio.create_task(run("async def ask()", gateway.url)["ask"]())
        assert (await anext(questions)).data == "how much is the fish?"
        await client.publish("answers", "three euros")
        assert await asking == "three euros"


async def test_a_program_goes_on_where_it_was(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    stored: list[tuple[str | bytes, str]] = []

    async def store(data: str | bytes, position: str) -> None:
        await asyncio.sleep(0)
        stored.append((data, position))

    follow = run("async def follow", store=store)["follow"]
    async with relay.Client(gateway.url) as client:
        positions = [(await client.publish("orders:new", f"{number}")).position for number in range(4)]
        following = asyncio.create_task(follow(client, positions[1]))
        await wait_until(lambda: len(stored) == 2)
        assert stored == [("2", positions[2]), ("3", positions[3])]
        await client.aclose()
        await following


async def test_state_is_loaded_anew_where_messages_may_be_missing(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    seen: list[str | bytes] = []

    async def load_state() -> None:
        await asyncio.sleep(0)
        seen.append("state")

    async def apply(data: str | bytes) -> None:
        await asyncio.sleep(0)
        seen.append(data)

    watch = run("async def watch", load_state=load_state, apply=apply)["watch"]
    async with relay.Client(gateway.url, max_reconnect_delay=0.0) as client:
        watching = asyncio.create_task(watch(client))
        await wait_until(lambda: gateway.counters.event_streams_open == 1)
        await client.publish("prices", "4")
        await wait_until(lambda: seen == ["4"])
        port = gateway.port
        await gateway.drain()
        (gateway,) = await embedded(1, port=port)
        await wait_until(lambda: seen == ["4", "state"])
        await client.publish("prices", "5")
        await wait_until(lambda: seen == ["4", "state", "5"])
        await client.aclose()
        await watching


async def test_a_function_may_give_tokens() -> None:
    async def ask_back_end() -> str:
        await asyncio.sleep(0)
        return "token"

    names = run("fetch_token", ask_back_end=ask_back_end)
    assert await names["fetch_token"]() == "token"
    await names["client"].aclose()


async def test_who_comes_is_printed(embedded: EmbeddedFactory, capsys: pytest.CaptureFixture[str]) -> None:
    (gateway,) = await embedded(1, namespaces={"chat": {"presence": True, "join_leave": True}})
    async with relay.Client(gateway.url) as client:
        meeting = asyncio.create_task(run("async def meet")["meet"](client))
        printed = ""

        def has_met() -> bool:
            nonlocal printed
            printed += capsys.readouterr().out
            return "None is here" in printed

        await wait_until(has_met)
        meeting.cancel()
        await asyncio.gather(meeting, return_exceptions=True)
    assert printed.startswith("some may have come or gone unseen\n")


async def test_an_application_is_tested_with_a_gateway_on_memory() -> None:
    await run("test_orders.py")["test_an_order_is_announced"]()


def defaults(function: Any) -> Mapping[str, str]:
    """Return the keywords of a function, and their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: f"{one.default}" for one in parameters if one.kind is one.KEYWORD_ONLY}


def test_the_page_has_all_options() -> None:
    listed = {row[0].strip("`"): row[1].strip("`") for row in table_below(PAGE, "| `relay.Client(URL, ...)`")}
    assert {name: text.removesuffix(".0") for name, text in defaults(relay.Client).items()} == listed
    rows = table_below(PAGE, "| `client.subscribe(CHANNEL, ...)`")
    assert [row[0].strip("`").partition("=")[0] for row in rows] == list(defaults(relay.Client.subscribe))
    fields = {row[0].strip("`") for row in table_below(PAGE, "| a message has")}
    assert fields == set(relay.ReceivedMessage.__slots__)


def test_the_page_names_what_is_raised() -> None:
    raised = {row[0].strip("`").removeprefix("relay.") for row in table_below(PAGE, "| raised")}
    assert raised <= set(relay.__all__)  # what a program must catch doesn't move
    said = f"{Subscription.__anext__.__doc__}{relay.Client.publish.__doc__}"
    assert all(name in said for name in raised)
    assert {BusUnavailable.__name__, DeliveryUnknown.__name__} <= raised


def test_it_is_found_from_the_page_for_back_ends() -> None:
    assert "(python-client.md)" in text_of("docs/backends.md")
