"""Whatever a client says, and whenever that is answered: order, ids and states are kept."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from relay.errors import Disconnect, ProtocolError
from relay.protocols import CloseMessage
from relay.protocols.centrifuge import json_wire, protobuf_wire
from relay.protocols.centrifuge.command_order import CONCURRENT, EXCLUSIVE
from relay.protocols.centrifuge.connection import Centrifuge
from relay.protocols.centrifuge.state import State
from relay.protocols.multiplexed import MultiplexedSession
from tests.centrifuge.oracle.wire import WIRES, Json
from tests.clients.session_world import OPENING
from tests.harness.examples import examples
from tests.harness.whole_frames import frames_of
from tests.protocols.centrifuge.later import LaterSession

CHANNELS = st.sampled_from(["a", "kept:b", "secret", "not a channel", "given"])
REQUESTS: st.SearchStrategy[Json] = st.one_of(
    st.builds(
        lambda channel, recover, flag: {"subscribe": {"channel": channel, "recover": recover, "flag": flag}},
        CHANNELS,
        st.booleans(),
        st.sampled_from([1, 2]),
    ),
    CHANNELS.map(lambda channel: {"unsubscribe": {"channel": channel}}),
    CHANNELS.map(lambda channel: {"publish": {"channel": channel, "data": [1]}}),
    CHANNELS.map(lambda channel: {"publish": {"channel": channel}}),
    CHANNELS.map(lambda channel: {"presence": {"channel": channel}}),
    CHANNELS.map(lambda channel: {"presence_stats": {"channel": channel}}),
    CHANNELS.map(lambda channel: {"history": {"channel": channel, "limit": 5, "since": {"offset": 1}}}),
    CHANNELS.map(lambda channel: {"sub_refresh": {"channel": channel, "token": "t"}}),
    st.just({"rpc": {"method": "m"}}),
    st.just({"refresh": {"token": "t"}}),
)

MISTAKES: st.SearchStrategy[Json] = st.sampled_from(
    [{}, {"id": 90}, {"connect": {}}, {"id": 90, "connect": {}}, {"id": 90, "refresh": {}}, {"id": 90, "send": {}}]
)
"""After each the client is closed."""


@st.composite
def conversations(draw: st.DrawFn) -> list[Json | tuple[int, int]]:
    """Draw what a client says, and between that answers: which of those that wait, and what it is."""
    answers = st.tuples(st.integers(0, 5), st.integers(0, 3))
    said: list[Json] = [{"connect": {"token": "t", "subs": {"a": {}}}} if draw(st.booleans()) else {"connect": {}}]
    said += draw(st.lists(REQUESTS, max_size=12))
    steps: list[Json | tuple[int, int]] = []
    for number, request in enumerate(said, start=1):
        if number > 1 and draw(st.integers(0, 30)) == 0:
            steps.append(draw(MISTAKES))
        steps.append({"id": number, **request})
        steps += draw(st.lists(answers, max_size=2))
    return steps


class Client:
    """The protocol on such a session.

    Args:
        format: "json" or "protobuf".
    """

    def __init__(self, format: str) -> None:
        self.protocol = Centrifuge(json_wire() if format == "json" else protobuf_wire(), OPENING)
        self.session = LaterSession()
        self.ended: list[CloseMessage] = []
        self.session.closing = lambda why: self.ended.append(self.protocol.closing(why))
        self.session.go_on = self._go_on
        self._wire = WIRES[format]
        self.protocol.opened(cast(MultiplexedSession, self.session), None)

    def say(self, commands: list[Json]) -> None:
        """Say commands in one message."""
        written = self._wire.write(commands)
        self.read(written.encode() if isinstance(written, str) else written)

    def read(self, payload: bytes) -> None:
        """Read a message."""
        if self.session.closed:
            return
        before = self.protocol._state
        try:
            self.protocol.received(cast(MultiplexedSession, self.session), self.protocol.wire.format.kind, payload)
        except ProtocolError as error:
            assert before is not State.ENDED
            self.session.close(error.disconnect)
        self.session.give_turns()

    def _go_on(self) -> None:
        try:
            self.protocol.go_on(cast(MultiplexedSession, self.session))
        except ProtocolError as error:
            self.session.close(error.disconnect)

    def told(self) -> list[Json]:
        """Return all that was told."""
        return [
            one
            for data in self.session.sent
            for opcode, payload in frames_of(data)
            for one in self._wire.read(payload.decode() if opcode == 1 else payload)
        ]

    def summary(self) -> tuple[Any, ...]:
        """Return what became of it."""
        return self.told(), self.ended, self.session.begun, self.protocol._state


def check(client: Client, said: list[Json]) -> None:
    """Fail unless ids, order and states are in order."""
    session, state = client.session, client.protocol._state
    told = client.told()
    replies = [one for one in told if "id" in one]
    names = {command["id"]: next(key for key in command if key != "id") for command in said if len(command) > 1}
    counted = Counter(one["id"] for one in replies)
    assert all(count == 1 for count in counted.values())
    assert set(counted) <= set(names)
    for one in replies:
        (name,) = set(one) - {"id"}
        assert name in ("error", names[one["id"]])
    alone = [one["id"] for one in replies if names[one["id"]] in EXCLUSIVE]
    assert alone == sorted(alone), "they are answered in the order in which they came"
    for place, one in enumerate(replies):
        if names[one["id"]] in EXCLUSIVE:  # what only reads may be answered later
            late = [names[later["id"]] for later in replies[place:] if later["id"] < one["id"]]
            assert not {*late} & {*EXCLUSIVE, *CONCURRENT}
    assert (state is State.ENDED) >= bool(session.closed)
    if state is State.CONNECTED:
        assert replies[0]["id"] == 1
        assert "connect" in replies[0]
    if state in (State.NEW, State.CONNECTING):
        assert replies == []
        assert not set(session.begun) - {"connect", "subscribe"}
    if not session.closed and not session.pending and state is State.CONNECTED:
        assert client.protocol._unread is None, "nothing waits for nothing"
        assert not session.paused
    assert session.paused >= (client.protocol._unread is not None and not session.closed)


FORMATS = st.sampled_from(["json", "protobuf"])


@examples(300)
@given(FORMATS, conversations())
def test_each_command_is_answered_once_at_most_and_in_order(format: str, steps: list[Json | tuple[int, int]]) -> None:
    client, said = Client(format), []
    for step in steps:
        if isinstance(step, tuple):
            if client.session.pending:
                client.session.answer(*step)
        elif not client.session.closed:
            said.append(step)
            client.say([step])
        check(client, [command for command in said if command.get("id")])
    while client.session.pending:
        client.session.answer(0, 0)
        check(client, [command for command in said if command.get("id")])
    if not client.session.closed:
        answered = {one["id"] for one in client.told() if "id" in one}
        assert answered == {command["id"] for command in said if command}


@examples(200)
@given(FORMATS, conversations(), st.data())
def test_it_is_the_same_in_one_message_and_in_many(
    format: str, steps: list[Json | tuple[int, int]], data: st.DataObject
) -> None:
    """What is said before the first answer comes."""
    said = [step for step in steps if not isinstance(step, tuple)]
    cut = data.draw(st.integers(0, len(said)))
    results = []
    for parts in ([said], [said[:cut], said[cut:]], [[one] for one in said]):
        client = Client(format)
        for part in parts:
            if part:
                client.say(part)
        while client.session.pending:
            client.session.answer(0, 0)
        results.append(client.summary())
    assert results[0] == results[1] == results[2]


@examples(300)
@given(FORMATS, conversations(), st.data())
def test_a_message_that_is_cut_or_broken_ends_the_client_or_is_another_one(
    format: str, steps: list[Json | tuple[int, int]], data: st.DataObject
) -> None:
    """Its first commands are carried out, and no other error is raised."""
    said = [step for step in steps if not isinstance(step, tuple)]
    written = WIRES[format].write(said)
    payload = bytearray(written.encode() if isinstance(written, str) else written)
    if data.draw(st.booleans()):
        del payload[data.draw(st.integers(0, len(payload))) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if payload:
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    client = Client(format)
    client.read(bytes(payload))
    while client.session.pending:
        client.session.answer(0, 0)
    assert len(client.session.closed) <= 1
    assert all(isinstance(why, Disconnect) for why in client.session.closed)
    json.dumps(client.told())
