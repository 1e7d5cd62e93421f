"""A client answers what has to be answered, checks what it hears, and says how its sessions end."""

from __future__ import annotations

import asyncio

import pytest

from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.virtual_client import MAX_UNREAD_BYTES, VirtualClient
from relay.loadtest.result.faults import Fault
from tests.harness.raw_websocket import CLOSE, PING, PONG, TEXT, encode_frame
from tests.loadtest.generator.client_fixture import DIALECT, ClientFixture, RecordingTransport, message


def test_a_session_begins_with_the_dialects_frames_and_with_the_handshake() -> None:
    fixture = ClientFixture(frames=(b"one", b"two")).open()
    assert fixture.transport.sent_frames() == [(TEXT, b"one"), (TEXT, b"two")]
    assert (fixture.context.arrivals, fixture.receiver.away) == (1, False)


def test_a_client_that_waits_to_be_ready_joins_then() -> None:
    fixture = ClientFixture(DIALECT).open()
    assert (fixture.context.arrivals, fixture.receiver.away) == (0, True)
    assert fixture.receive(TEXT, b"ready") == []
    assert fixture.receive(TEXT, b"ready") == []
    assert (fixture.context.arrivals, fixture.receiver.away) == (1, False)


def test_what_comes_with_the_handshake_is_read() -> None:
    fixture = ClientFixture(DIALECT).open(
        encode_frame(TEXT, b"ready", masked=False) + encode_frame(TEXT, message(0), masked=False)
    )
    assert fixture.context.arrivals == 1
    assert fixture.receiver.expected == {0: 1, 1: 0}


def test_messages_in_order_are_simply_the_next_ones() -> None:
    fixture = ClientFixture().open()
    for sequence in range(3):
        fixture.receive(TEXT, message(sequence))
    fixture.receive(TEXT, message(0, 1))
    assert fixture.receiver.expected == {0: 3, 1: 1}
    assert not fixture.context.checker.faults.any
    times = [chunk.times for chunk in fixture.context.decoder.collect()]
    assert [len(moments) for moments in times] == [1, 1, 1, 1]


def test_all_others_are_for_the_checker() -> None:
    fixture = ClientFixture().open()
    for sequence in (1, 0, 1):
        fixture.receive(TEXT, message(sequence))
    fixture.receive(TEXT, message(0, 2))
    fixture.receive(TEXT, b"nonsense")
    faults = fixture.context.checker.faults
    assert (faults.reordered, faults.duplicated, faults.foreign, faults.unexpected) == (1, 1, 1, 1)
    assert {incident.client for incident in faults.incidents} == {7}
    assert [incident.text for incident in faults.incidents if incident.fault is Fault.UNEXPECTED] == ["nonsense"]


def test_a_message_in_pieces_counts_with_its_last_byte() -> None:
    fixture = ClientFixture().open()
    data = encode_frame(TEXT, message(0), masked=False)
    for byte in data[:-1]:
        fixture.client.data_received(bytes([byte]))
    assert fixture.receiver.expected[0] == 0
    fixture.client.data_received(data[-1:])
    assert fixture.receiver.expected[0] == 1
    assert fixture.context.bytes_received == len(data)


def test_what_has_to_be_answered_is_answered() -> None:
    fixture = ClientFixture(DIALECT).open()
    assert fixture.receive(PING, b"there?") == [(PONG, b"there?")]
    assert fixture.receive(PONG, b"unasked") == []
    assert fixture.receive(TEXT, b"who are you?") == [(TEXT, b"me")]
    assert fixture.receive(TEXT, b"what is it?") == [(TEXT, b"this")]
    assert fixture.context.pings == 1


@pytest.mark.parametrize(
    ("content", "echo", "reason"),
    [(b"\x03\xe9", b"\x03\xe9", "1001"), (b"\x03\xf3out of it", b"\x03\xf3", "1011 out of it"), (b"", b"", "1005")],
)
def test_a_close_frame_is_answered_and_is_the_reason(content: bytes, echo: bytes, reason: str) -> None:
    fixture = ClientFixture().open()
    assert fixture.receive(CLOSE, content) == [(CLOSE, echo)]
    # The session is over, even if the server keeps the connection and goes on.
    assert fixture.context.ends == [reason]
    assert fixture.receiver.away
    assert fixture.transport.closed
    assert not isinstance(fixture.transport.protocol, VirtualClient)


def test_who_only_pings_and_never_reads_the_pongs_is_left() -> None:
    fixture = ClientFixture().open()
    fixture.transport.unread = MAX_UNREAD_BYTES + 1
    fixture.receive(PING, b"there?")
    assert fixture.transport.aborted
    fixture.client.connection_lost(None)
    assert fixture.context.ends == ["flood of pings without reading the pongs"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(None, "closed without a close frame"), (ConnectionResetError(), "reset"), (BrokenPipeError(), "reset")],
)
def test_an_end_without_a_close_frame_says_so(error: Exception | None, reason: str) -> None:
    fixture = ClientFixture().open()
    fixture.client.connection_lost(error)
    assert fixture.context.ends == [reason]


def test_nonsense_ends_the_connection_with_its_reason() -> None:
    fixture = ClientFixture().open()
    fixture.client.data_received(encode_frame(TEXT, b"masked"))
    assert fixture.transport.aborted
    fixture.client.connection_lost(None)
    assert fixture.context.ends == ["protocol error: masked frame from a server"]


def test_a_polite_end_is_the_clients_own() -> None:
    """Its close frame is answered by one, which isn't answered again."""
    fixture = ClientFixture().open()
    fixture.client.close()
    fixture.client.close()
    assert fixture.transport.sent_frames() == [(CLOSE, b"\x03\xe8")]
    fixture.receive(TEXT, message(0))
    assert fixture.receiver.expected[0] == 1
    assert fixture.receive(CLOSE, b"\x03\xe8") == []
    fixture.client.connection_lost(None)
    assert fixture.context.ends == [""]


def test_a_cut_is_the_clients_own_and_over_at_once() -> None:
    fixture = ClientFixture().open()
    fixture.client.reset()
    assert fixture.transport.aborted
    assert not isinstance(fixture.transport.protocol, VirtualClient)
    assert (fixture.context.ends, fixture.receiver.away) == ([""], True)
    fixture.client.reset()
    fixture.client.close()
    fixture.client.stop_reading()
    fixture.client.resume_reading()
    assert fixture.context.ends == [""]


def test_after_a_cut_another_session_begins_afresh() -> None:
    """Half a frame of the old one is forgotten."""
    fixture = ClientFixture().open()
    fixture.client.data_received(encode_frame(TEXT, message(0), masked=False)[:20])
    fixture.client.reset()
    fixture.transport = RecordingTransport()
    fixture.open()
    fixture.receive(TEXT, message(0))
    assert fixture.receiver.expected[0] == 1
    fixture.client.connection_lost(None)
    assert fixture.context.ends == ["", "closed without a close frame"]


def test_what_a_client_without_a_connection_is_asked_is_not_answered() -> None:
    """Such as by the rest of a chunk, when the beginning made it end."""
    fixture = ClientFixture().open()
    fixture.client.reset()
    assert fixture.receive(PING, b"there?") == []
    assert fixture.context.pings == 0


async def test_who_is_ended_before_it_is_subscribed_is_refused_with_the_reason() -> None:
    fixture = ClientFixture(DIALECT).open()
    fixture.client.subscribed = asyncio.get_running_loop().create_future()
    fixture.receive(CLOSE, b"\x0d\xadbad request")
    fixture.client.connection_lost(None)
    with pytest.raises(RemoteProtocolError, match="3501 bad request"):
        await fixture.client.subscribed
    assert (fixture.context.arrivals, fixture.context.ends) == (0, [])


async def test_a_session_in_place_is_told_to_who_waits_for_it() -> None:
    fixture = ClientFixture()
    fixture.client.subscribed = asyncio.get_running_loop().create_future()
    fixture.open()
    await fixture.client.subscribed
    assert fixture.context.arrivals == 1


def test_who_has_stopped_reading_checks_nothing_any_more() -> None:
    fixture = ClientFixture().open()
    fixture.client.stop_reading()
    assert not fixture.transport.reading
    fixture.client.resume_reading()
    assert fixture.transport.reading
    fixture.receive(TEXT, message(5))
    assert fixture.context.checker.missing == 0
    assert [chunk.times for chunk in fixture.context.decoder.collect()] == [[]]
    assert fixture.receive(PING, b"x") == [(PONG, b"x")]


def test_a_reader_that_is_full_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = ClientFixture().open()
    monkeypatch.setattr("relay.loadtest.generator.chunk_decoder.MAX_REMEMBERED_BYTES", 10)
    fixture.receive(TEXT, message(0))
    assert fixture.context.collected == 1


def test_a_publisher_speaks_as_long_as_its_connection_takes_it() -> None:
    fixture = ClientFixture(publishes=True)
    publisher = fixture.client.publisher
    assert publisher is not None
    publisher.backlog.append(0)
    fixture.open()
    assert len(fixture.transport.sent_frames()) == 1
    fixture.client.pause_writing()
    publisher.backlog.append(1)
    publisher.send_due()
    assert fixture.transport.sent_frames() == []
    fixture.client.resume_writing()
    assert len(fixture.transport.sent_frames()) == 1
    fixture.client.connection_lost(None)
    publisher.backlog.append(2)
    publisher.send_due()
    fixture.client.resume_writing()
    assert len(publisher.backlog) == 1


def test_a_client_that_only_listens_does_not_mind_a_full_socket() -> None:
    fixture = ClientFixture().open()
    fixture.client.pause_writing()
    fixture.client.resume_writing()
