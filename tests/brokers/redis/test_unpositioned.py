"""Messages past the histories are noticed, and others pay nothing for it."""

from __future__ import annotations

from relay.brokers.redis.unpositioned import UnpositionedWatch
from relay.message import Message
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions, Namespaces
from tests.brokers.recording import RecordingSink


def test_only_channels_with_positions_are_watched() -> None:
    sink, counters = RecordingSink(), Counters()
    watch = UnpositionedWatch(sink, Namespaces(named={"h": ChannelOptions(history_size=1)}), counters)
    assert watch.receiver("plain") == sink.receive, "straight to the sink"
    watch.receiver("h:c")(Message("h:c", b"x"))
    assert sink.payloads("h:c") == [b"x"]
    assert counters.messages_unpositioned == 1
