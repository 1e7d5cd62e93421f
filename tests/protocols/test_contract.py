"""What every client protocol owes: the same cases over all of them, and over one that exists only in the tests."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close

from relay.errors import CustomDisconnect, Disconnect, ProtocolError, comes_back
from relay.message import Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols import ClientProtocol, SingleChannelProtocol
from relay.replay import Replay
from tests.harness.examples import examples
from tests.harness.raw_websocket import BINARY, TEXT, encode_frame
from tests.harness.whole_frames import frames_of
from tests.protocols.cases import CASES, Case, Payload, kind_of
from tests.protocols.reading import Reading
from tests.protocols.recording import RecordingSession

WELCOME = Message("a", b'"welcome"')

REASONS = [
    *Disconnect,
    CustomDisconnect(3000, ""),
    CustomDisconnect(4999, "x" * 123),
    CustomDisconnect(4000, "日" * 41),
]

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
speaking = pytest.mark.parametrize("case", [case for case in CASES if case.speaks], ids=lambda case: case.name)
single_channel = pytest.mark.parametrize(
    "case", [case for case in CASES if not case.make().multiplexed], ids=lambda case: case.name
)
listening = pytest.mark.parametrize("case", [case for case in CASES if not case.speaks], ids=lambda case: case.name)


def positioned(channel: str, payload: bytes, kind: Kind = Kind.TEXT, offset: int = 1) -> PositionedMessage:
    """Return a message with a position."""
    return PositionedMessage(channel, payload, kind, position=Position("Zz_-09", offset))


def received(protocol: ClientProtocol, payload: Payload) -> RecordingSession:
    """Let a protocol take one message; return what it did."""
    session = RecordingSession()
    protocol.opened(session, None)
    protocol.received(session, *kind_of(payload))
    session.give_turns(protocol)
    return session


def opened(case: Case) -> tuple[RecordingSession, ClientProtocol]:
    """Return a client of a protocol that has come, and its protocol."""
    session, protocol = RecordingSession(), case.make()
    protocol.opened(session, None)
    return session, protocol


@all_cases
@given(st.data())
def test_messages_arrive_as_they_were_sent(case: Case, data: st.DataObject) -> None:
    payload = data.draw(case.payloads)
    kind, payload_bytes = kind_of(payload)
    assert case.decode(case.make().encode(Message("a", payload_bytes, kind))) == [payload]


@all_cases
@given(st.data())
def test_encoded_messages_can_be_joined(case: Case, data: st.DataObject) -> None:
    """The hub writes those of a tick at once, and slices out those of a sender."""
    payloads = data.draw(st.lists(case.payloads, min_size=1, max_size=5))
    messages = [Message("a", payload_bytes, kind) for kind, payload_bytes in map(kind_of, payloads)]
    assert case.decode(b"".join(map(case.make().encode, messages))) == payloads


@single_channel
@given(st.data())
def test_the_newest_of_several_messages_can_be_told(case: Case, data: st.DataObject) -> None:
    """For a slow client that is to get no other."""
    payloads = data.draw(st.lists(case.payloads, min_size=1, max_size=5))
    protocol = case.make()
    newest = cast(SingleChannelProtocol, protocol).newest
    encoded = [protocol.encode(Message("a", payload_bytes, kind)) for kind, payload_bytes in map(kind_of, payloads)]
    assert newest(b"".join(encoded)) == encoded[-1]
    encoded = [protocol.encode(positioned("a", payload_bytes, kind)) for kind, payload_bytes in map(kind_of, payloads)]
    assert newest(b"".join(encoded)) == encoded[-1]


@single_channel
@given(st.data())
def test_the_newest_can_be_told_where_only_some_have_positions(case: Case, data: st.DataObject) -> None:
    """A bare PUBLISH on Redis goes past the history of a channel."""
    drawn = data.draw(st.lists(st.tuples(case.payloads, st.booleans()), min_size=1, max_size=5))
    protocol, encoded = case.make(), []
    newest = cast(SingleChannelProtocol, protocol).newest
    for payload, counted in drawn:
        kind, payload_bytes = kind_of(payload)
        make = positioned if counted else Message
        encoded.append(protocol.encode(make("a", payload_bytes, kind)))
    assert newest(b"".join(encoded)) == encoded[-1]
    assert case.decode(b"".join(encoded)) == [payload for payload, _ in drawn]


@all_cases
def test_what_a_client_gets_first_of_the_messages_before(case: Case) -> None:
    protocol, session = case.make(), RecordingSession()
    replay = Replay(Position("e", 7), [positioned("a", b"6", offset=6), positioned("a", b"7", offset=7)])
    if protocol.multiplexed:
        assert protocol.resumed(session, None) == b""
    else:
        assert case.decode(protocol.resumed(session, replay)) == ["6", "7"]
        assert case.decode(protocol.resumed(session, Replay(Position("e", 7)))) == []
    assert protocol.resume == 0
    assert (session.calls, session.sent, session.closed) == ([], [], [])


@all_cases
@pytest.mark.parametrize("position", [None, Position("e", 7)])
def test_a_client_can_be_told_of_a_gap_or_is_closed(case: Case, position: Position | None) -> None:
    """By a code with which it comes back."""
    session, protocol = opened(case)
    session.channels["a"] = None
    told = protocol.missed(session, "a", position)
    if isinstance(told, Disconnect):
        assert case.name == "plain"
        assert comes_back(protocol.closing(told).code)
    elif case.web_socket:
        assert len(list(frames_of(told))) == 1
    assert session.calls in ([], [("unsubscribe", "a")]), "it comes back to the channel"
    assert (session.sent, session.closed) == ([], [])


@all_cases
def test_whatever_another_program_says_on_the_bus_can_be_encoded(case: Case) -> None:
    encode = case.make().encode
    for payload in (b"\xff\xfe", b"\0", b"[" * 5000, b"", b"\xed\xa0\x80"):
        for kind in Kind:
            assert len(case.decode(encode(Message("a", payload, kind)))) == 1


@all_cases
def test_the_encoder_is_one_function_for_all_clients(case: Case) -> None:
    """It groups the fan-out: a message is encoded once for all of them."""
    one, other = case.make(), case.make()
    assert one.encode is other.encode
    assert one.encode is one.encode
    others = {another.make().encode for another in CASES if another is not case}
    assert one.encode not in others


@all_cases
def test_what_is_written_first(case: Case) -> None:
    """The welcome, if there is one; and nothing is asked of the session before it has begun."""
    session = RecordingSession()
    protocol = case.make()
    without, with_it = protocol.opened(session, None), protocol.opened(session, WELCOME)
    if case.web_socket:
        assert without == b""
    assert with_it.endswith(protocol.encode(WELCOME)) is case.welcomes
    assert (session.calls, session.sent, session.closed) == ([], [], [])


@all_cases
def test_pings_can_be_told_from_messages(case: Case) -> None:
    ping = case.make().ping()
    if ping is None:
        return
    if case.web_socket:
        ((opcode, payload),) = frames_of(ping)
        assert (opcode, payload) in ((TEXT, b"{}"), (BINARY, b"\0"))
    else:
        assert case.decode(ping) == []


@all_cases
@pytest.mark.parametrize("why", REASONS, ids=str)
def test_every_close_is_legal(case: Case, why: Disconnect | CustomDisconnect) -> None:
    """RFC 6455, section 7.4; a reason has 123 bytes (section 5.5)."""
    closing = case.make().closing(why)
    Close(closing.code, closing.reason).check()
    assert closing.code >= 1000
    assert closing.code != 1010  # for clients only
    assert len(closing.reason.encode()) <= 123
    if isinstance(why, CustomDisconnect):
        assert (closing.code, closing.reason) == (why.code, why.reason)
    if case.web_socket:
        assert all(opcode in (TEXT, BINARY) for opcode, _ in frames_of(closing.last))


@all_cases
def test_a_client_learns_that_a_back_end_has_unsubscribed_it(case: Case) -> None:
    """One of several channels: it is told. Its only one: it is closed."""
    session, protocol = opened(case)
    protocol.unsubscribed(session, "a")
    if protocol.multiplexed:
        assert session.closed == []
        assert len(session.sent) == 1
    else:
        assert session.closed == [Disconnect.UNSUBSCRIBED]
        assert session.sent == []


@all_cases
def test_a_client_has_its_channel_before_its_handshake_is_answered_or_any_number_later(case: Case) -> None:
    protocol = case.make()
    assert protocol.multiplexed == (protocol.channel is None)
    assert isinstance(protocol.echo, bool)


@speaking
@given(st.data())
def test_a_request_is_done_by_the_verbs_of_the_session(case: Case, data: st.DataObject) -> None:
    session = received(case.make(), data.draw(case.requests))
    assert len(session.calls) == 1
    assert session.closed == []


@all_cases
@examples(300)
@given(st.data())
def test_anything_else_is_a_protocol_error_and_nothing_but_that(case: Case, data: st.DataObject) -> None:
    if case.malformed.is_empty:
        return
    with pytest.raises(ProtocolError) as caught:
        received(case.make(), data.draw(case.malformed))
    assert isinstance(caught.value.disconnect, Disconnect)


@all_cases
@examples(300)
@given(st.text(st.characters(codec="utf-8")) | st.binary())
def test_no_input_raises_another_error(case: Case, payload: Payload) -> None:
    session, protocol = opened(case)
    try:
        protocol.received(session, *kind_of(payload))
        session.give_turns(protocol)
    except ProtocolError:
        assert session.calls == []


@speaking
@given(st.data())
def test_whole_and_byte_by_byte_is_the_same(case: Case, data: st.DataObject) -> None:
    """All requests in one chunk, and in chunks of one byte, by the way in of all WebSockets."""
    strategy = st.one_of(case.requests, case.malformed) if not case.malformed.is_empty else case.requests
    payloads = data.draw(st.lists(strategy, max_size=4))
    frames = b"".join(
        encode_frame(BINARY if kind is Kind.BINARY else TEXT, payload) for kind, payload in map(kind_of, payloads)
    )

    async def read() -> list[tuple[Any, ...]]:
        results = []
        for pieces in ([frames], [frames[i : i + 1] for i in range(len(frames))]):
            reading = Reading(case.make())
            for piece in pieces:
                reading.read(piece)
            reading.end()
            results.append((reading.recording.calls, reading.recording.sent, reading.failures))
        return results

    whole, single = asyncio.run(read())
    assert whole == single
    assert len(whole[2]) <= 1, "nothing is heard after a fault"


@listening
def test_a_client_that_only_listens_has_nothing_to_say(case: Case) -> None:
    with pytest.raises(ProtocolError) as caught:
        received(case.make(), "hello")
    assert caught.value.disconnect is Disconnect.UNEXPECTED_DATA


def test_a_plain_client_without_the_right_to_publish_is_closed() -> None:
    """It can't be told otherwise."""
    (case,) = (case for case in CASES if case.name == "plain")
    session = RecordingSession(allowed=lambda channel: False)
    with pytest.raises(ProtocolError) as caught:
        case.make().received(session, Kind.TEXT, b"hello")
    assert caught.value.disconnect is Disconnect.NOT_ALLOWED
