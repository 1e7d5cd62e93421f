"""What clients get of the messages that they have missed: streams, caches, and differences."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from centrifuge.fossil import apply_delta
from hypothesis import given
from hypothesis import strategies as st

from relay.message import Kind, Message
from relay.namespaces import ChannelOptions, Namespaces, NoJson
from relay.protocols.centrifuge import fossil, framings, json_wire, protobuf_wire
from relay.protocols.centrifuge.differences import Differences
from tests.harness.conditions import wait_until
from tests.harness.examples import examples
from tests.protocols.centrifuge.conversation import Conversation, a_world, publish

FORMATS = ("json", "protobuf")


async def subscribed(client: Conversation, channel: str, **request: Any) -> dict[str, Any]:
    """Subscribe, and return the result."""
    result = (await client.ask(subscribe={"channel": channel, **request}))["subscribe"]
    assert isinstance(result, dict)
    return result


async def left_at(client: Conversation, channel: str) -> dict[str, Any]:
    """Subscribe to a channel that has one message, leave it, and return how to come back."""
    epoch = (await subscribed(client, channel))["epoch"]
    publish(client.world, channel, b"1")
    await client.ask(unsubscribe={"channel": channel})
    return {"recover": True, "epoch": epoch, "offset": 1}


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


# Caches.


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


# Histories.


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


# Payloads.


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


# Differences.


class Follower:
    """A client that keeps a document by differences.

    Attributes:
        documents: all that it has had.
    """

    def __init__(self, client: Conversation) -> None:
        self.client = client
        self.documents: list[bytes] = []
        self._seen = 0
        self._offset = 0
        self._epoch = ""

    async def come(self) -> None:
        """Subscribe, again where it was."""
        known = {"recover": True, "epoch": self._epoch, "offset": self._offset} if self._epoch else {}
        self._seen = len(self.client.pushes)
        result = await subscribed(self.client, "delta:a", delta="fossil", **known)
        assert result["delta"] is True
        self._epoch = result["epoch"]
        if not known:
            self._offset = result.get("offset", 0)
        elif not result.get("recovered"):
            self.documents.append(b"lost")
        for publication in result.get("publications", []):
            self._take(publication)
        self.follow()

    def follow(self) -> None:
        """Take what has come."""
        for push in self.client.pushes[self._seen :]:
            if "pub" in push:
                self._take(push["pub"])
        self._seen = len(self.client.pushes)

    async def go(self) -> None:
        """Unsubscribe."""
        self.follow()
        await self.client.ask(unsubscribe={"channel": "delta:a"})
        self.follow()

    def _take(self, publication: dict[str, Any]) -> None:
        data = publication["data"].encode()
        document = apply_delta(self.documents[-1], data) if publication.get("delta") else data
        json.loads(document)  # as the SDKs do: where it fails, they stay away
        self.documents.append(document)
        assert publication["offset"] > self._offset
        self._offset = publication["offset"]


DOCUMENTS = st.lists(st.sampled_from(["abcdefghijklmnop", "{}", "äöü€", "0123456789012345"]), max_size=8).map(
    lambda parts: ('{"text":"' + "".join(parts) + '"}').encode()
)
NO_JSON = (b"\xff no text", b"hello")
STEPS = st.one_of(DOCUMENTS, st.integers(0, 2), st.sampled_from(NO_JSON))


@examples(100)
@given(st.lists(STEPS, max_size=25))
def test_who_follows_by_differences_has_each_document(steps: list[bytes | int]) -> None:
    """Clients that come and go in between, too; what is no JSON is left out."""

    async def follow() -> None:
        world = a_world(namespaces=Namespaces(named={"delta": ChannelOptions(history_size=50, delta=True)}))
        followers = [Follower(Conversation(world)) for _ in range(3)]
        there = [False] * 3
        expected: list[list[bytes]] = [[] for _ in followers]
        missed: list[list[bytes] | None] = [None for _ in followers]
        for step in steps:
            if isinstance(step, int):
                if there[step]:
                    await followers[step].go()
                    missed[step] = []
                else:
                    await followers[step].come()
                    expected[step] += missed[step] or []
                there[step] = not there[step]
                continue
            carried = step not in NO_JSON
            publish(world, "delta:a", step, kind=Kind.BINARY if step == NO_JSON[0] else Kind.TEXT)
            for number, follower in enumerate(followers):
                if carried and there[number]:
                    expected[number].append(step)
                elif carried and (before := missed[number]) is not None:
                    before.append(step)
                if there[number]:
                    follower.follow()
        assert [follower.documents for follower in followers] == expected
        for follower in followers:
            follower.client.leave()

    asyncio.run(follow())


async def test_differences_are_sent_where_they_are_shorter_and_allowed(format: str) -> None:
    world = a_world()
    client, other = Conversation(world, format), Conversation(world, format)
    document = b'{"text":"' + b"x" * 500 + b'"}'
    assert (await subscribed(client, "delta:a", delta="fossil"))["delta"] is True
    assert "delta" not in await subscribed(other, "delta:a")
    publish(world, "delta:a", document, document.replace(b"text", b"more"), b"{}")
    flags = [push["pub"].get("delta", False) for push in client.pushes]
    assert flags == [False, True, False]
    assert [push["pub"].get("delta", False) for push in other.pushes] == [False] * 3
    assert other.pushes[2]["pub"]["data"] == {}
    for channel in ("a", "kept:a", "counted:a"):
        assert "delta" not in await subscribed(client, channel, delta="fossil")
    await wait_until(lambda: world.node.hub.subscribers("delta:a") == 2)


@pytest.mark.parametrize(("no_json", "data"), [("drop", None), ("string", '"hello \\"you\\""')])
async def test_a_text_that_is_no_json_leaves_those_who_follow_by_differences_in_peace(
    no_json: NoJson, data: str | None
) -> None:
    """They parse each document: one that can't be parsed would send them away for good, and anyone may publish it."""
    options = ChannelOptions(history_size=5, delta=True, no_json=no_json)
    world = a_world(namespaces=Namespaces(named={"delta": options}))
    follower = Follower(Conversation(world))
    await follower.come()
    publish(world, "delta:a", b'{"text":"a long document"}', b'hello "you"', b'{"text":"a long document, changed"}')
    follower.follow()
    expected = ['{"text":"a long document"}', data, '{"text":"a long document, changed"}']
    assert [document.decode() for document in follower.documents] == [one for one in expected if one is not None]
    assert world.counters.deliveries_left_out == (no_json == "drop")


async def test_what_was_missed_comes_whole_where_differences_follow(format: str) -> None:
    """They would be made for one client alone: those who come back together would hold up all others for minutes."""
    client = Conversation(a_world(), format)
    known = await left_at(client, "delta:a")
    documents = [b'{"text":"' + b"x" * 500 + b'","n":%d}' % number for number in range(4)]
    publish(client.world, "delta:a", *documents)
    result = await subscribed(client, "delta:a", delta="fossil", **known)
    assert (result["delta"], result["recovered"], len(result["publications"])) == (True, True, 4)
    assert [publication.get("delta", False) for publication in result["publications"]] == [False] * 4
    publish(client.world, "delta:a", documents[0], documents[1])
    assert [push["pub"].get("delta", False) for push in client.pushes[-2:]] == [False, True]


async def test_a_difference_is_made_once_whatever_clients_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes up to five milliseconds, and there are WebSockets, events and lines, and two formats."""
    made: list[bytes] = []

    def create(source: bytes, target: bytes) -> bytes | None:
        made.append(target)
        return fossil_create(source, target)

    fossil_create = fossil.create
    monkeypatch.setattr(fossil, "create", create)
    documents = [b'{"text":"' + b"x" * 500 + b'","once":%d}' % number for number in range(2)]
    wires = (json_wire(), framings.json_lines(), framings.json_events(), protobuf_wire())
    for differences in [Differences(wire, "drop") for wire in wires]:
        whole, shorter = (differences(Message("delta:a", document)) for document in documents)
        assert 0 < len(shorter) < len(whole)
    assert made == documents[1:]
