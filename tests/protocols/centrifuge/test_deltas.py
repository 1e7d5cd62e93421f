"""Clients that follow a channel by deltas."""

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
from relay.protocols.centrifuge.deltas import Deltas
from tests.harness.conditions import wait_until
from tests.harness.examples import examples
from tests.protocols.centrifuge.conversation import Conversation, a_world, publish
from tests.protocols.centrifuge.recovering import left_at, subscribed


class Follower:
    """A client that keeps a document by deltas.

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
def test_who_follows_by_deltas_has_each_document(steps: list[bytes | int]) -> None:
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


async def test_deltas_are_sent_where_they_are_shorter_and_allowed(format: str) -> None:
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
async def test_a_text_that_is_no_json_leaves_those_who_follow_by_deltas_in_peace(
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


async def test_what_was_missed_comes_whole_where_deltas_follow(format: str) -> None:
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
    for deltas in [Deltas(wire, "drop") for wire in wires]:
        whole, shorter = (deltas(Message("delta:a", document)) for document in documents)
        assert 0 < len(shorter) < len(whole)
    assert made == documents[1:]
