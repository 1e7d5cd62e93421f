"""What clients get of the messages that they have missed: streams and caches."""

from __future__ import annotations

from typing import Any

import pytest

from relay.message import Kind
from tests.harness.conditions import wait_until
from tests.protocols.centrifuge.conversation import Conversation, a_world, publish
from tests.protocols.centrifuge.recovering import left_at, subscribed

FORMATS = ("json", "protobuf")


async def test_a_client_gets_what_it_has_missed(format: str) -> None:
    client = Conversation(a_world(), format)
    known = await left_at(client, "kept:a")
    publish(client.world, "kept:a", b"2", b'{"x":3}')
    assert await subscribed(client, "kept:a", **known) == {
        "recoverable": True,
        "epoch": known["epoch"],
        "publications": [{"data": 2, "offset": 2}, {"data": {"x": 3}, "offset": 3}],
        "recovered": True,
        "offset": 1,
        "positioned": True,
        "was_recovering": True,
    }
    publish(client.world, "kept:a", b"4")
    assert client.pushes[-1] == {"channel": "kept:a", "pub": {"data": 4, "offset": 4}}


async def test_a_client_that_has_missed_nothing_is_recovered(format: str) -> None:
    client = Conversation(a_world(), format)
    known = await left_at(client, "kept:a")
    for epoch in (known["epoch"], ""):
        result = await subscribed(client, "kept:a", **{**known, "epoch": epoch})
        assert (result["recovered"], result["offset"], "publications" in result) == (True, 1, False)
        await client.ask(unsubscribe={"channel": "kept:a"})


@pytest.mark.parametrize("wrong", [{"epoch": "_"}, {"offset": 9}, {"offset": 0}], ids=["epoch", "future", "gone"])
async def test_never_a_part_of_it(format: str, wrong: dict[str, Any]) -> None:
    client = Conversation(a_world(), format)
    known = await left_at(client, "kept:a")
    publish(client.world, "kept:a", *(b"%d" % number for number in range(2, 8)))
    assert await subscribed(client, "kept:a", **{**known, **wrong}) == {
        "recoverable": True,
        "epoch": known["epoch"],
        "offset": 7,
        "positioned": True,
        "was_recovering": True,
    }


async def test_who_wants_an_error_instead_was_never_there(format: str) -> None:
    """Else others would be told of someone who comes and goes."""
    client = Conversation(a_world(), format)
    known = await left_at(client, "asked:a")
    await wait_until(lambda: not client.world.node.presences.waiting)
    lost = {"recover": True, "epoch": known["epoch"], "offset": 99, "flag": 2}
    assert await client.error(subscribe={"channel": "asked:a", **lost}) == 112
    assert client.world.node.presences.waiting == 0
    assert list(client.session.channels) == []


async def test_where_nothing_is_kept_there_is_nothing_to_recover(format: str) -> None:
    client = Conversation(a_world(), format)
    for flag in (1, 2):
        lost = {"recover": True, "epoch": "e", "offset": 7, "flag": flag}
        assert await subscribed(client, "a", **lost) == {"was_recovering": True}
        await client.ask(unsubscribe={"channel": "a"})


async def test_a_cache_gives_the_newest_message_whatever_the_client_knows(format: str) -> None:
    client = Conversation(a_world(), format)
    known = await left_at(client, "cache:a")
    publish(client.world, "cache:a", b"2", b"3")
    for epoch in (known["epoch"], "other", ""):
        result = await subscribed(client, "cache:a", **{**known, "epoch": epoch, "flag": 2})
        assert result == {
            "recoverable": True,
            "epoch": known["epoch"],
            "publications": [{"data": 3, "offset": 3}],
            "recovered": True,
            "offset": 1,
            "positioned": True,
            "was_recovering": True,
        }
        await client.ask(unsubscribe={"channel": "cache:a"})
    result = await subscribed(client, "cache:a", **{**known, "offset": 3})
    assert (result["recovered"], result["offset"], "publications" in result) == (True, 3, False)


async def test_a_cache_without_a_message_is_not_recovered(format: str) -> None:
    client = Conversation(a_world(), format)
    result = await subscribed(client, "cache:a", recover=True)
    assert (result["was_recovering"], "recovered" in result) == (True, False)
    assert "publications" not in result


async def test_without_asking_nothing_of_before_comes(format: str) -> None:
    client = Conversation(a_world(), format)
    await left_at(client, "cache:a")
    result = await subscribed(client, "cache:a")
    assert (result["offset"], "publications" in result) == (1, False)


async def test_a_history_is_read_from_any_place_in_both_orders(format: str) -> None:
    client = Conversation(a_world(), format)
    epoch = (await subscribed(client, "kept:a"))["epoch"]
    publish(client.world, "kept:a", b"1", b"2", b"3")

    async def read(**request: Any) -> list[int]:
        found = (await client.ask(history={"channel": "kept:a", **request}))["history"]
        assert (found["epoch"], found["offset"]) == (epoch, 3)
        return [one["offset"] for one in found.get("publications", [])]

    assert await read() == []
    assert await read(limit=-1) == await read(limit=-7) == [1, 2, 3]
    assert await read(limit=2) == [1, 2]
    assert await read(limit=2, reverse=True) == [3, 2]
    assert await read(limit=-1, since={"offset": 1, "epoch": epoch}) == [2, 3]
    assert await read(limit=-1, since={"offset": 1}) == [2, 3]
    assert await read(limit=-1, since={"offset": 3, "epoch": epoch}, reverse=True) == [2, 1]
    assert await read(limit=-1, since={}) == [1, 2, 3]


async def test_what_is_no_json_is_left_out_or_a_string_for_clients_that_speak_json() -> None:
    world = a_world()
    client = Conversation(world)
    for channel in ("a", "string:a"):
        await client.ask(subscribe={"channel": channel})
        publish(world, channel, b"hello", b'{"a":\n1}', b"17 18")
        publish(world, channel, b"\xff\xfe", b'"text"', kind=Kind.BINARY)
    assert [push["pub"]["data"] for push in client.pushes if push["channel"] == "a"] == [{"a": 1}, "text"]
    assert [push["pub"]["data"] for push in client.pushes if push["channel"] == "string:a"] == [
        "hello",
        {"a": 1},
        "17 18",
        "\ufffd\ufffd",
        "text",
    ]
    assert world.counters.deliveries_left_out == 3


async def test_clients_that_speak_protobuf_get_the_bytes() -> None:
    world = a_world()
    client = Conversation(world, "protobuf")
    await client.ask(subscribe={"channel": "a"})
    publish(world, "a", b"hello", b'{"a":\n1}')
    publish(world, "a", b"\xff\xfe", kind=Kind.BINARY)
    assert [push["pub"]["data"] for push in client.pushes] == ["base64:aGVsbG8=", {"a": 1}, "base64://4="]
    assert world.counters.deliveries_left_out == 0


async def test_formats_mix() -> None:
    world = a_world()
    clients = [Conversation(world, format) for format in FORMATS]
    for client in clients:
        await client.ask(subscribe={"channel": "a"})
    for number, client in enumerate(clients):
        assert await client.ask(publish={"channel": "a", "data": {"n": number, "ü": None}}) == {"publish": {}}
    world.node.hub.flush()
    for client in clients:
        assert [push["pub"]["data"] for push in client.pushes] == [{"n": n, "ü": None} for n in (0, 1)]
