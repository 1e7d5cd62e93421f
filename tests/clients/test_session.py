"""What a client's session with one channel keeps, whatever the bus and the client do meanwhile."""

from __future__ import annotations

import gc
import weakref

import pytest

from relay.auth.authenticator import ANONYMOUS, Identity
from relay.brokers.memory import MemoryBroker
from relay.clients.multiplexed_session import MultiplexedSession
from relay.clients.session import Session
from relay.errors import ChannelError, Disconnect, NotAllowed, PublishRefused
from relay.message import Kind, Message
from relay.node import Node
from relay.protocols.plain import Plain
from tests.clients.recorder import OnlyPublic, Outcomes, Recorder, a_node, publish
from tests.harness.conditions import wait_until


def joined(node: Node, identity: Identity = ANONYMOUS) -> Recorder:
    """Return a client of the channel `a` that has come in."""
    return Recorder(Session(node, identity, Plain("a", echo=False), node.claim("a")[0]))


async def test_a_client_has_the_channel_of_its_protocol_from_the_beginning() -> None:
    node = a_node()
    client = joined(node)
    assert list(client.session.channels) == ["a"]
    publish(node, "a", "b")
    assert len(client.delivered) == 1
    assert client.session.leave()
    assert not client.session.leave()
    publish(node, "a")
    assert len(client.delivered) == 1
    assert list(client.session.channels) == []
    await wait_until(lambda: node.interests == 0)


async def test_a_client_that_does_not_join_after_all_gives_back_its_claim() -> None:
    node = a_node()
    session = Session(node, ANONYMOUS, Plain("a", echo=False), node.claim("a")[0])
    session.withdraw()
    session.withdraw()
    assert list(session.channels) == []
    await wait_until(lambda: node.interests == 0)


async def test_what_a_client_cannot_publish(outcomes: Outcomes) -> None:
    node = a_node()
    session = joined(node, Identity("ann", OnlyPublic())).session
    assert session.user == "ann"
    with pytest.raises(ChannelError):
        session.publish("", b"", Kind.TEXT, outcomes.of("x"))
    with pytest.raises(NotAllowed, match="publish"):
        session.publish("a", b"", Kind.TEXT, outcomes.of("x"))
    assert outcomes.told == []
    assert node.counters.messages_received == 0


async def test_a_plain_client_is_closed_when_a_back_end_unsubscribes_it() -> None:
    node = a_node()
    client = joined(node)
    client.session.revoke("b")
    assert (client.closed, list(client.session.channels)) == ([], ["a"])
    client.session.revoke("a")
    assert client.closed == [Disconnect.UNSUBSCRIBED]
    publish(node, "a")
    assert client.delivered == []
    client.session.revoke("a")
    client.session.leave()
    assert len(client.closed) == 1
    await wait_until(lambda: node.interests == 0)


async def test_what_is_published_is_counted_and_its_outcome_told(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = a_node()
    client = joined(node)
    client.session.publish("a", b"12", Kind.TEXT, outcomes.of("heard"))
    client.session.publish("b", b"3", Kind.BINARY, outcomes.of("unheard"))
    client.session.publish("a", b"4", Kind.TEXT)
    assert outcomes.told == [("heard", "done"), ("unheard", "done")]
    assert (node.counters.messages_received, node.counters.bytes_received) == (3, 4)

    def refuse(broker: MemoryBroker, message: Message, source: object, receipt: object) -> bool:
        assert callable(receipt)
        receipt(PublishRefused("NOPERM"))
        return True

    monkeypatch.setattr(MemoryBroker, "publish", refuse)
    client.session.publish("a", b"5", Kind.TEXT, outcomes.of("refused"))
    assert outcomes.told[-1] == ("refused", str(PublishRefused("NOPERM")))


async def test_a_client_that_leaves_can_still_publish_but_is_told_nothing(outcomes: Outcomes) -> None:
    """What was read of it before is published; see `MessageReader`."""
    node = a_node()
    client, other = joined(node), joined(node)
    client.session.leave()
    client.session.publish("a", b"1", Kind.TEXT, outcomes.of("published"))
    node.hub.flush()
    assert len(other.delivered) == 1
    client.session.send(b"answer")
    assert client.sent == []
    client.session.close(Disconnect.GOING_AWAY)
    assert client.closed == [Disconnect.GOING_AWAY]
    client.session.end()
    client.session.publish("a", b"2", Kind.TEXT, outcomes.of("too late"))
    client.session.close(Disconnect.GOING_AWAY)
    node.hub.flush()
    assert len(other.delivered) == 1
    assert len(client.closed) == 1
    assert outcomes.told == []


async def test_a_client_that_has_left_is_freed_without_the_garbage_collector(outcomes: Outcomes) -> None:
    node = a_node()
    gc.collect()
    gc.disable()
    try:
        client = joined(node)
        leftover = weakref.ref(client)
        client.session.publish("a", b"1", Kind.TEXT, outcomes.of("published"))
        node.hub.flush()
        client.leave()
        del client
        assert leftover() is None
    finally:
        gc.enable()


def test_what_a_session_offers_is_what_the_contract_asks() -> None:
    """So a protocol that runs with the recording session runs with this one."""
    from relay.protocols import Session as Contract
    from relay.protocols.multiplexed import MultiplexedSession as WiderContract

    def names(contract: type) -> set[str]:
        return {name for name in vars(contract) if not name.startswith("_")} | set(contract.__annotations__)

    assert names(Contract) >= {"id", "user", "channels", "publish", "send", "close"}
    missing = {name for name in names(Contract) - {"id"} if not hasattr(Session, name)}
    wider = {name for name in names(WiderContract) if not hasattr(MultiplexedSession, name)}
    assert (missing, wider) == (set(), set())
