"""A client answers what has to be answered, checks what it hears, and says how its sessions end."""

from __future__ import annotations

import asyncio

import pytest

from relay.loadtest.generator.frame_codec import WireError
from relay.loadtest.generator.virtual_client import MAX_UNREAD_BYTES, Client
from relay.loadtest.result.faults import Fault
from tests.harness.raw_websocket import CLOSE, PING, PONG, TEXT, encode_frame
from tests.loadtest.generator.client_fixture import DIALECT, Line, Scene, message


def test_a_session_begins_with_the_dialects_frames_and_with_the_handshake() -> None:
    scene = Scene(frames=(b"one", b"two")).open()
    assert scene.line.said() == [(TEXT, b"one"), (TEXT, b"two")]
    assert (scene.company.arrivals, scene.receiver.away) == (1, False)


def test_a_client_that_waits_to_be_ready_joins_then() -> None:
    scene = Scene(DIALECT).open()
    assert (scene.company.arrivals, scene.receiver.away) == (0, True)
    assert scene.hear(TEXT, b"ready") == []
    assert scene.hear(TEXT, b"ready") == []
    assert (scene.company.arrivals, scene.receiver.away) == (1, False)


def test_what_comes_with_the_handshake_is_read() -> None:
    scene = Scene(DIALECT).open(
        encode_frame(TEXT, b"ready", masked=False) + encode_frame(TEXT, message(0), masked=False)
    )
    assert scene.company.arrivals == 1
    assert scene.receiver.expected == {0: 1, 1: 0}


def test_messages_in_order_are_simply_the_next_ones() -> None:
    scene = Scene().open()
    for sequence in range(3):
        scene.hear(TEXT, message(sequence))
    scene.hear(TEXT, message(0, 1))
    assert scene.receiver.expected == {0: 3, 1: 1}
    assert not scene.company.checker.faults.any
    times = [reading.times for reading in scene.company.reader.collect()]
    assert [len(moments) for moments in times] == [1, 1, 1, 1]


def test_all_others_are_for_the_checker() -> None:
    scene = Scene().open()
    for sequence in (1, 0, 1):
        scene.hear(TEXT, message(sequence))
    scene.hear(TEXT, message(0, 2))
    scene.hear(TEXT, b"nonsense")
    faults = scene.company.checker.faults
    assert (faults.reordered, faults.duplicated, faults.foreign, faults.unexpected) == (1, 1, 1, 1)
    assert {incident.client for incident in faults.incidents} == {7}
    assert [incident.text for incident in faults.incidents if incident.fault is Fault.UNEXPECTED] == ["nonsense"]


def test_a_message_in_pieces_counts_with_its_last_byte() -> None:
    scene = Scene().open()
    data = encode_frame(TEXT, message(0), masked=False)
    for byte in data[:-1]:
        scene.client.data_received(bytes([byte]))
    assert scene.receiver.expected[0] == 0
    scene.client.data_received(data[-1:])
    assert scene.receiver.expected[0] == 1
    assert scene.company.bytes_received == len(data)


def test_what_has_to_be_answered_is_answered() -> None:
    scene = Scene(DIALECT).open()
    assert scene.hear(PING, b"there?") == [(PONG, b"there?")]
    assert scene.hear(PONG, b"unasked") == []
    assert scene.hear(TEXT, b"who are you?") == [(TEXT, b"me")]
    assert scene.hear(TEXT, b"what is it?") == [(TEXT, b"this")]
    assert scene.company.pings == 1


@pytest.mark.parametrize(
    ("content", "echo", "reason"),
    [(b"\x03\xe9", b"\x03\xe9", "1001"), (b"\x03\xf3out of it", b"\x03\xf3", "1011 out of it"), (b"", b"", "1005")],
)
def test_a_close_frame_is_answered_and_is_the_reason(content: bytes, echo: bytes, reason: str) -> None:
    scene = Scene().open()
    assert scene.hear(CLOSE, content) == [(CLOSE, echo)]
    # The session is over, even if the server keeps the connection and goes on.
    assert scene.company.ends == [reason]
    assert scene.receiver.away
    assert scene.line.closed
    assert not isinstance(scene.line.protocol, Client)


def test_who_only_pings_and_never_reads_the_pongs_is_left() -> None:
    scene = Scene().open()
    scene.line.unread = MAX_UNREAD_BYTES + 1
    scene.hear(PING, b"there?")
    assert scene.line.aborted
    scene.client.connection_lost(None)
    assert scene.company.ends == ["flood of pings without reading the pongs"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(None, "closed without a close frame"), (ConnectionResetError(), "reset"), (BrokenPipeError(), "reset")],
)
def test_an_end_without_a_close_frame_says_so(error: Exception | None, reason: str) -> None:
    scene = Scene().open()
    scene.client.connection_lost(error)
    assert scene.company.ends == [reason]


def test_nonsense_ends_the_connection_with_its_reason() -> None:
    scene = Scene().open()
    scene.client.data_received(encode_frame(TEXT, b"masked"))
    assert scene.line.aborted
    scene.client.connection_lost(None)
    assert scene.company.ends == ["protocol error: masked frame from a server"]


def test_a_polite_end_is_the_clients_own() -> None:
    """Its close frame is answered by one, which isn't answered again."""
    scene = Scene().open()
    scene.client.close()
    scene.client.close()
    assert scene.line.said() == [(CLOSE, b"\x03\xe8")]
    scene.hear(TEXT, message(0))
    assert scene.receiver.expected[0] == 1
    assert scene.hear(CLOSE, b"\x03\xe8") == []
    scene.client.connection_lost(None)
    assert scene.company.ends == [""]


def test_a_cut_is_the_clients_own_and_over_at_once() -> None:
    scene = Scene().open()
    scene.client.cut()
    assert scene.line.aborted
    assert not isinstance(scene.line.protocol, Client)
    assert (scene.company.ends, scene.receiver.away) == ([""], True)
    scene.client.cut()
    scene.client.close()
    scene.client.stop_reading()
    scene.client.read_on()
    assert scene.company.ends == [""]


def test_after_a_cut_another_session_begins_afresh() -> None:
    """Half a frame of the old one is forgotten."""
    scene = Scene().open()
    scene.client.data_received(encode_frame(TEXT, message(0), masked=False)[:20])
    scene.client.cut()
    scene.line = Line()
    scene.open()
    scene.hear(TEXT, message(0))
    assert scene.receiver.expected[0] == 1
    scene.client.connection_lost(None)
    assert scene.company.ends == ["", "closed without a close frame"]


def test_what_a_client_without_a_connection_is_asked_is_not_answered() -> None:
    """Such as by the rest of a chunk, when the beginning made it end."""
    scene = Scene().open()
    scene.client.cut()
    assert scene.hear(PING, b"there?") == []
    assert scene.company.pings == 0


async def test_who_is_ended_before_it_is_subscribed_is_refused_with_the_reason() -> None:
    scene = Scene(DIALECT).open()
    scene.client.subscribed = asyncio.get_running_loop().create_future()
    scene.hear(CLOSE, b"\x0d\xadbad request")
    scene.client.connection_lost(None)
    with pytest.raises(WireError, match="3501 bad request"):
        await scene.client.subscribed
    assert (scene.company.arrivals, scene.company.ends) == (0, [])


async def test_a_session_in_place_is_told_to_who_waits_for_it() -> None:
    scene = Scene()
    scene.client.subscribed = asyncio.get_running_loop().create_future()
    scene.open()
    await scene.client.subscribed
    assert scene.company.arrivals == 1


def test_who_has_stopped_reading_checks_nothing_any_more() -> None:
    scene = Scene().open()
    scene.client.stop_reading()
    assert not scene.line.reading
    scene.client.read_on()
    assert scene.line.reading
    scene.hear(TEXT, message(5))
    assert scene.company.checker.missing == 0
    assert [reading.times for reading in scene.company.reader.collect()] == [[]]
    assert scene.hear(PING, b"x") == [(PONG, b"x")]


def test_a_reader_that_is_full_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene().open()
    monkeypatch.setattr("relay.loadtest.generator.chunk_decoder.MAX_REMEMBERED_BYTES", 10)
    scene.hear(TEXT, message(0))
    assert scene.company.collected == 1


def test_a_publisher_speaks_as_long_as_its_connection_takes_it() -> None:
    scene = Scene(publishes=True)
    publisher = scene.client.publisher
    assert publisher is not None
    publisher.owed.append(0)
    scene.open()
    assert len(scene.line.said()) == 1
    scene.client.pause_writing()
    publisher.owed.append(1)
    publisher.pay()
    assert scene.line.said() == []
    scene.client.resume_writing()
    assert len(scene.line.said()) == 1
    scene.client.connection_lost(None)
    publisher.owed.append(2)
    publisher.pay()
    scene.client.resume_writing()
    assert len(publisher.owed) == 1


def test_a_client_that_only_listens_does_not_mind_a_full_socket() -> None:
    scene = Scene().open()
    scene.client.pause_writing()
    scene.client.resume_writing()
