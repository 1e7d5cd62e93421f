"""What the clients of one worker do meanwhile: a storm, a churn, slow reading, or nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from relay.loadtest.generator import client_group as module
from relay.loadtest.plan.plan import Act, Dialect
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import stays_true, wait_until
from tests.harness.server_session import ServerSession
from tests.loadtest.generator.test_client_group import URL, by_client, connected, counts


async def test_a_storm_cuts_all_listeners_and_brings_them_back() -> None:
    async with BroadcastServer() as server, connected(server, act=Act.STORM) as group:
        assert group.storm is None
        publisher = by_client(server, 4)
        group.start_act()
        await wait_until(lambda: not group.busy)
        moment, length = group.storm or (0, 0)
        assert 0 < moment < moment + length < time.monotonic_ns() - group.epoch
        assert (group.connected, group.sessions, server.accepted) == (5, 9, 9)
        assert (group.storm_handshakes.total, group.handshakes.total) == (4, 9)
        assert publisher in server.sessions
        assert counts(group.checker.faults) == {}
        group.stop_act()


async def test_a_storm_after_which_not_all_come_back_has_no_length() -> None:
    async with BroadcastServer() as server, connected(server, act=Act.STORM) as group:
        granted = server.answer
        server.answer = lambda session: (  # type: ignore[method-assign]
            b"HTTP/1.1 503 Busy\r\n\r\n" if session.request.client == "0" else granted(session)
        )
        group.start_act()
        await wait_until(lambda: not group.busy)
        assert group.storm is not None
        assert group.storm[1] == -1
        assert group.connected == 4
        assert counts(group.checker.faults) == {"refused": {"HTTP 503": 1}}


async def test_a_churn_ends_sessions_politely_and_begins_others_at_its_pace() -> None:
    async with BroadcastServer() as server, connected(server, act=Act.CHURN, churn=50.0) as group:
        begun = time.monotonic()
        group.start_act()
        await wait_until(lambda: server.accepted >= 5 + 8)
        assert time.monotonic() - begun >= 7 / 50
        group.stop_act()
        await wait_until(lambda: not group.busy)
        ended = Counter((session.request.client, session.close_code) for session in server.past)
        assert ended.keys() == {(str(client), 1000) for client in range(4)}
        assert max(ended.values()) - min(ended.values()) <= 1
        assert group.connected == 5
        assert counts(group.checker.faults) == {}
        accepted = server.accepted
        assert await stays_true(lambda: server.accepted == accepted, 0.1)


async def test_a_slow_churn_is_over_at_once_when_it_is_to_rest() -> None:
    async with BroadcastServer() as server, connected(server, act=Act.CHURN, churn=0.01) as group:
        group.start_act()
        await wait_until(lambda: server.accepted == 6)
        group.stop_act()
        await wait_until(lambda: not group.busy)


async def test_a_churn_of_nobody_is_nothing() -> None:
    async with BroadcastServer() as server, connected(server, clients=0, act=Act.CHURN, churn=1000.0) as group:
        group.start_act()
        await wait_until(lambda: not group.busy)


async def test_a_close_frame_that_is_not_answered_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client goes, and comes back all the same; meanwhile it isn't asked again."""
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(ServerSession, "end", lambda _session: None)
    async with BroadcastServer() as server, connected(server, clients=1, act=Act.CHURN, churn=40.0) as group:
        group.start_act()
        await wait_until(lambda: server.accepted > 2)
        group.stop_act()
        await wait_until(lambda: not group.busy)
        assert counts(group.checker.faults) == {"closed": {"close not answered": server.accepted - 2}}
        assert group.connected == 2


async def test_a_churn_leaves_out_who_is_not_there_yet() -> None:
    """A client that is about to be subscribed is left alone until it is."""
    dialect = Dialect(url=URL, ready="^welcome$")

    class Welcoming(BroadcastServer):
        """Says when a client is subscribed: the first time at once, later after a while."""

        def opened(self, session: ServerSession) -> None:
            super().opened(session)
            delay = 0.0 if self.accepted <= 2 else 0.15
            asyncio.get_running_loop().call_later(delay, session.send, b"welcome")

    async with Welcoming() as server, connected(server, dialect=dialect, clients=1, act=Act.CHURN, churn=50.0) as group:
        group.start_act()
        await wait_until(lambda: server.accepted == 5)
        group.stop_act()
        await wait_until(lambda: not group.busy)
        assert counts(group.checker.faults) == {}
        assert (group.connected, group.sessions) == (2, server.accepted)


async def test_slow_clients_stop_reading_and_learn_later_how_they_ended() -> None:
    """One in four of those that listen; what closes it for that is no fault."""
    async with BroadcastServer() as server, connected(server, clients=8, act=Act.SLOW, slow=0.25) as group:
        group.start_act()
        exempt = {receiver.number for receiver in group.receivers if receiver.exempt}
        assert exempt == {0, 4}
        by_client(server, 0).close(1008, "too slow")
        by_client(server, 1).close(1008, "too slow")
        await wait_until(lambda: group.connected == 8)
        assert counts(group.checker.faults) == {"closed": {"1008 too slow": 1}}
        group.stop_act()
        await wait_until(lambda: group.connected == 7)
        assert counts(group.checker.faults) == {"closed": {"1008 too slow": 1}, "slow_closed": {"1008 too slow": 1}}


async def test_staying_is_doing_nothing() -> None:
    async with BroadcastServer() as server, connected(server) as group:
        group.start_act()
        group.stop_act()
        assert not group.busy
        assert server.accepted == 5
