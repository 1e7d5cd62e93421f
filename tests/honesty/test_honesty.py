"""Whatever a server does wrong to messages shows exactly: in the counts, the incidents and the exit code."""

from __future__ import annotations

from collections import Counter
from functools import partial

from relay.loadtest.generator.payload import encode_payload, filler, find_headers
from relay.loadtest.result.faults import Fault
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.faulty_server import (
    ChangedDeliveries,
    DoubledDeliveries,
    DroppedDeliveries,
    DroppedMessages,
    FaultyServer,
    InsertingServer,
    LeakyServer,
    SwappedDeliveries,
    cut_short,
    flip_bit,
    make_longer,
)
from tests.harness.raw_websocket import TEXT, encode_frame
from tests.harness.rough_server import BinaryServer, DeafServer, FragmentingServer
from tests.harness.server_session import Pace
from tests.honesty.trial import Trial, Tried, against, against_each, counts

MARK_BYTES = 4
"""Without them nothing tells that a frame was meant to be a message."""


def places(tried: Tried[FaultyServer], fault: Fault) -> list[tuple[str, int]]:
    """Return who missed which message and the like, each as client and sequence number, as the incidents say."""
    return sorted(
        (str(incident.client), sequence)
        for incident in tried.faults.incidents
        if incident.fault is fault and incident.first is not None and incident.last is not None
        for sequence in range(incident.first, incident.last + 1)
    )


def true_places(tried: Tried[FaultyServer]) -> list[tuple[str, int]]:
    """Return the same, as the server knows it."""
    return sorted((session.request.client, number) for session, number in tried.server.faults)


CROWD = ("--clients", "9", "--channels", "3", "--publishers", "6", "--rate", "300", "--size", "200")


@against_each(
    one_worker=Trial(BroadcastServer, CROWD),
    two_workers=Trial(BroadcastServer, (*CROWD, "--workers", "2")),
)
def test_an_honest_server_passes_and_every_delivery_is_counted(tried: Tried[BroadcastServer]) -> None:
    result, step, server = tried.result, tried.step, tried.server
    assert (tried.code, counts(tried.faults), result.verdict) == (0, {}, []), tried.outcome.output
    assert (step.offered, step.sent, server.messages) == (300, 300, 300)
    # Each message goes to the three clients of its channel and to the other publisher there.
    assert step.delivered == step.expected == server.deliveries.total() == 1200
    assert step.latency.count == step.latency_sent.count == 1200
    assert 0 < step.latency_sent.p50 <= step.latency.p50
    assert (result.connects.made, result.connects.sessions, server.accepted) == (15, 15, 15)
    assert {session.request.client for session in server.past} == {str(number) for number in range(15)}
    assert len(server.published) == 3


@against_each(
    churn=Trial(BroadcastServer, ("--clients", "20", "--churn", "40/s", "--duration", "3s", "--workers", "2")),
    storm=Trial(BroadcastServer, ("--profile", "storm", "--clients", "30", "--duration", "3s")),
)
def test_who_comes_and_goes_misses_what_was_sent_meanwhile_and_loses_nothing(tried: Tried[BroadcastServer]) -> None:
    """A storm's clients cut their connections, with what the server had just sent to them."""
    result, step, server = tried.result, tried.step, tried.server
    assert (tried.code, tried.faults.closed) == (0, {})
    # On a quick machine everybody may be back before the next message.
    missed = step.expected - step.delivered
    assert counts(tried.faults) == ({"missed": missed} if missed else {})
    in_flight = server.deliveries.total() - step.delivered
    assert in_flight == 0 if result.storm is None else 0 <= in_flight < 60
    assert (step.offered, server.messages) == (600, 600)
    assert server.accepted == result.connects.sessions > result.connects.made + 25


@against_each(
    messages=Trial(partial(DroppedMessages, 1000), ("--clients", "2", "--rate", "2000")),
    deliveries=Trial(partial(DroppedDeliveries, 1000), ("--clients", "2", "--rate", "2000")),
)
def test_what_is_dropped_is_lost(tried: Tried[FaultyServer]) -> None:
    """Every 1000th; the very last one is among them, which nothing comes after."""
    faults, step, server = tried.faults, tried.step, tried.server
    assert (tried.code, len(server.faults)) == (1, 4)
    assert counts(faults) == {"lost": 4}
    assert (step.expected, step.delivered, step.latency.count) == (4000, 3996, 3996)
    assert places(tried, Fault.LOST) == true_places(tried)
    assert {(incident.url, incident.publisher) for incident in faults.incidents} == {(server.url, 0)}
    assert all(incident.channel in server.published for incident in faults.incidents)
    assert all(0 < incident.moment < 60 for incident in faults.incidents)
    assert any("lost" in sentence for sentence in tried.result.verdict)


@against(partial(DroppedDeliveries, 7))
def test_what_every_client_misses_differently_is_counted_for_each(tried: Tried[FaultyServer]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {"lost": 800 // 7})
    assert (tried.step.expected, tried.step.delivered) == (800, 800 - 800 // 7)
    shown = places(tried, Fault.LOST)
    assert set(shown) <= set(true_places(tried))
    assert len(shown) >= 5


@against_each(
    at_once=Trial(partial(DoubledDeliveries, 100), ()),
    later=Trial(partial(DoubledDeliveries, 100, later=0.05), ()),
)
def test_what_comes_twice_is_duplicated(tried: Tried[FaultyServer]) -> None:
    assert (tried.code, counts(tried.faults), len(tried.server.faults)) == (1, {"duplicated": 8}, 8)
    assert places(tried, Fault.DUPLICATED) == true_places(tried)
    assert tried.step.expected == 800


@against(partial(SwappedDeliveries, 90))
def test_what_is_swapped_is_reordered_once_and_not_lost(tried: Tried[FaultyServer]) -> None:
    assert (tried.code, counts(tried.faults), len(tried.server.faults)) == (1, {"reordered": 8}, 8)
    assert places(tried, Fault.REORDERED) == true_places(tried)
    assert {incident.fault for incident in tried.faults.incidents} == {Fault.REORDERED}
    assert (tried.step.delivered, tried.step.expected) == (800, 800)


@against(partial(ChangedDeliveries, 5, flip_bit), "--size", "60")
def test_what_has_another_bit_is_foreign_and_the_message_lost(tried: Tried[FaultyServer]) -> None:
    """Whichever byte it is."""
    assert len(tried.server.faults) == 160
    unrecognisable = sum(count % 60 < MARK_BYTES for count in range(160))
    assert counts(tried.faults) == {"lost": 160, "foreign": 160 - unrecognisable, "unexpected": unrecognisable}
    assert (tried.code, tried.step.delivered) == (1, 640)


@against(partial(ChangedDeliveries, 5, cut_short), "--size", "60")
def test_what_is_cut_short_is_foreign_and_the_message_lost(tried: Tried[FaultyServer]) -> None:
    """However little of it is left."""
    assert len(tried.server.faults) == 160
    unrecognisable = sum(59 - count % 59 < MARK_BYTES for count in range(160))
    assert counts(tried.faults) == {"lost": 160, "foreign": 160 - unrecognisable, "unexpected": unrecognisable}
    assert (tried.code, tried.step.delivered) == (1, 640)


@against(partial(ChangedDeliveries, 5, make_longer), "--size", "60")
def test_what_is_longer_is_foreign(tried: Tried[FaultyServer]) -> None:
    """The message is in there all the same."""
    assert counts(tried.faults) == {"foreign": 160}
    assert (tried.code, tried.step.delivered) == (1, 800)


@against(partial(LeakyServer, 20), "--channels", "2", "--publishers", "2")
def test_a_message_of_another_channel_is_foreign(tried: Tried[FaultyServer]) -> None:
    assert (tried.code, counts(tried.faults), len(tried.server.faults)) == (1, {"foreign": 30}, 30)
    assert {incident.fault for incident in tried.faults.incidents} == {Fault.FOREIGN}
    assert set(places(tried, Fault.FOREIGN)) <= set(true_places(tried))


def of_another_run(payload: bytes, count: int) -> bytes:
    """Return a sound message with the same content, but of a run that isn't going on."""
    (header,), _ = find_headers(payload, filler(len(payload)))
    return encode_payload(header._replace(run=header.run ^ 1), filler(len(payload)))


@against(partial(ChangedDeliveries, 200, of_another_run))
def test_a_message_of_another_run_is_foreign(tried: Tried[FaultyServer]) -> None:
    """And doesn't pass for the one that should have come."""
    assert (tried.code, counts(tried.faults)) == (1, {"foreign": 4, "lost": 4})
    assert tried.step.delivered == 796
    assert places(tried, Fault.LOST) == true_places(tried)


GREETING = partial(InsertingServer, 100, encode_frame(TEXT, b"hello", masked=False))


@against(GREETING)
def test_a_frame_without_a_message_is_unexpected(tried: Tried[FaultyServer]) -> None:
    assert (tried.code, counts(tried.faults), len(tried.server.faults)) == (1, {"unexpected": 8}, 8)
    assert all("hello" in incident.text for incident in tried.faults.incidents)


@against(GREETING, "--ignore-frame", "^hello$")
def test_a_frame_that_is_to_be_ignored_is(tried: Tried[FaultyServer]) -> None:
    assert (tried.code, counts(tried.faults), len(tried.server.faults)) == (0, {}, 8)


@against(partial(DeafServer, 100, receive_buffer=8192), "--clients", "2", "--rate", "2000", "--size", "20000")
def test_what_a_server_does_not_take_is_unsent_and_what_it_swallows_is_lost(tried: Tried[BroadcastServer]) -> None:
    faults, step, messages = tried.faults, tried.step, tried.server.messages
    assert tried.code == 1
    assert (step.offered, step.delivered) == (2000, 2 * messages)
    assert faults.unsent > 0
    assert faults.lost == 2 * (2000 - faults.unsent - messages)
    assert set(counts(faults)) <= {"unsent", "lost"}
    assert any("sent" in sentence for sentence in tried.result.verdict)


SLOWLY = ("--clients", "2", "--rate", "60", "--drain", "20s")


@against_each(
    fragments_and_pings=Trial(FragmentingServer, SLOWLY),
    binary=Trial(BinaryServer, SLOWLY),
    many_frames_per_segment=Trial(partial(BroadcastServer, pace=Pace(1 << 20, 0.1)), SLOWLY),
    byte_by_byte=Trial(partial(BroadcastServer, pace=Pace(1, 0.0)), SLOWLY),
)
def test_every_way_to_send_a_message_counts(tried: Tried[BroadcastServer]) -> None:
    server, step = tried.server, tried.step
    assert (tried.code, counts(tried.faults)) == (0, {}), tried.outcome.output
    assert step.delivered == step.expected == server.deliveries.total() == 120
    assert tried.result.connects.pings == len(server.pongs)
    if isinstance(server, FragmentingServer):
        assert len(server.pings) == 240
        assert Counter(server.pongs) == Counter(server.pings)
