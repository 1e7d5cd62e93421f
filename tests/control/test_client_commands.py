"""Carrying out commands on many clients."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec import Raw

from relay.control import client_commands
from relay.control.client_commands import ACTIONS_PER_TICK, ClientCommands, _Due
from relay.control.commands import (
    BlockCommand,
    ClientCommand,
    DisconnectCommand,
    RefreshCommand,
    SubscribeCommand,
    UnsubscribeCommand,
)
from relay.control.messages import decode_broadcast, encode
from relay.errors import CustomDisconnect, Disconnect
from tests.control.commanded_clients import NODE, Client, Clients
from tests.harness.conditions import stays_true, wait_until


async def test_commands_of_a_while_are_carried_out_in_one_match() -> None:
    clients = [Client(number, f"user {number}") for number in range(100)]
    all_clients = Clients(clients)
    runner = ClientCommands(all_clients, NODE)
    for number in range(50):
        runner.add(DisconnectCommand(user=f"user {number}"))
    await wait_until(lambda: all(client.closed == [Disconnect.FORCE_DISCONNECT] for client in clients[:50]))
    runner.add(DisconnectCommand(user="user 50"))
    assert not clients[50].closed, "the next pass has to wait"
    await wait_until(lambda: clients[50].closed)
    assert all_clients.passes == 2
    assert not any(client.closed for client in clients[51:])


async def test_only_clients_that_a_command_names_are_closed() -> None:
    ann, other_ann, bob, unnamed = Client(1, "ann"), Client(2, "ann", "b"), Client(3, "bob"), Client(4)
    runner = ClientCommands([ann, other_ann, bob, unnamed], NODE)
    runner.add(UnsubscribeCommand(user="ann", channel="b"))
    runner.add(UnsubscribeCommand(user="bob", client=unnamed.id.hex(), channel="a"))
    runner.add(DisconnectCommand(user="bob", keep=frozenset({bob.id.hex()})))
    runner.add(DisconnectCommand(client=unnamed.id.hex(), code=4000, reason="x"))
    runner.add(DisconnectCommand(client=bob.id.hex(), keep=frozenset({bob.id.hex()})))
    runner.add(DisconnectCommand(client="f" * 32))
    runner.add(DisconnectCommand())
    runner.add(DisconnectCommand(user=""))
    await wait_until(lambda: unnamed.closed)
    assert unnamed.closed == [CustomDisconnect(4000, "x")]
    assert other_ann.revoked == {"b"}
    assert await stays_true(lambda: not any((*client.closed, *client.revoked) for client in (ann, bob)), 0.1)
    assert not other_ann.closed


async def test_a_client_is_unsubscribed_from_the_named_channels_and_closed_if_a_command_says_so() -> None:
    ann, bob = Client(1, "ann", "a", "b", "c"), Client(2, "bob", "a", "b")
    runner = ClientCommands([ann, bob], NODE)
    for command in (
        UnsubscribeCommand(user="ann", channel="a"),
        UnsubscribeCommand(client=ann.id.hex(), channel="c"),
        UnsubscribeCommand(client=ann.id.hex(), channel="d"),
        UnsubscribeCommand(user="bob", channel="a"),
        DisconnectCommand(user="bob"),
    ):
        runner.add(command)
    await wait_until(lambda: bob.closed == [Disconnect.FORCE_DISCONNECT])
    assert (ann.revoked, bob.revoked) == ({"a", "c"}, set())
    assert not ann.closed


async def test_commands_of_several_passes_add_up_until_they_are_carried_out() -> None:
    """A client that is due to be closed is closed for the first reason, whatever later commands say."""
    closed, unsubscribed, both = Client(1, "ann", "a", "b"), Client(2, "bob", "a", "b"), Client(3, "eve", "a")
    runner = ClientCommands([closed, unsubscribed, both], NODE)
    runner._due[Client(0)] = _Due(Disconnect.FORCE_DISCONNECT)  # so that a pass carries out nothing itself
    for commands in (
        [DisconnectCommand(user="ann"), UnsubscribeCommand(user="bob", channel="a")],
        [UnsubscribeCommand(user="ann", channel="a"), UnsubscribeCommand(user="bob", channel="b")],
        [UnsubscribeCommand(user="eve", channel="a")],
        [DisconnectCommand(user="eve", code=4000)],
        [DisconnectCommand(user="eve", code=4001)],
    ):
        runner._commands = [*commands]
        runner._match()
    runner._act()
    assert (closed.closed, closed.revoked) == ([Disconnect.FORCE_DISCONNECT], set())
    assert (unsubscribed.closed, unsubscribed.revoked) == ([], {"a", "b"})
    assert (both.closed, both.revoked) == ([CustomDisconnect(4000, "")], set())


async def test_the_subscriptions_of_many_clients_are_ended_some_at_a_time() -> None:
    """One client may have a hundred."""
    channels = [f"c{number}" for number in range(100)]
    clients = [Client(number, "ann", *channels) for number in range(10)]
    runner = ClientCommands(clients, NODE)
    runner._commands = [UnsubscribeCommand(user="ann", channel=channel) for channel in channels]
    runner._match()
    assert sum(len(client.revoked) for client in clients) == 300
    await asyncio.sleep(0)
    assert sum(len(client.revoked) for client in clients) == 600
    await wait_until(lambda: all(client.revoked == set(channels) for client in clients))


async def test_a_fault_in_one_client_does_not_keep_the_others_open() -> None:
    broken, other = Client(1, "ann"), Client(2, "ann")
    broken.channels = ("a", "b")
    broken.revoke = lambda channel: 1 / 0  # type: ignore[method-assign,assignment]
    runner = ClientCommands([broken, other], NODE)
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context["exception"]))
    runner.add(UnsubscribeCommand(user="ann", channel="a"))
    await wait_until(lambda: other.revoked == {"a"})
    assert [type(fault) for fault in faults] == [ZeroDivisionError]
    runner.add(DisconnectCommand(user="ann"))
    await wait_until(lambda: broken.closed and other.closed)


async def test_clients_of_other_gateways_cost_nothing() -> None:
    all_clients = Clients()
    runner = ClientCommands(all_clients, NODE)
    runner.add(DisconnectCommand(client="f" * 32))
    assert await stays_true(lambda: runner._timer is None, 0.02)
    assert not all_clients.passes


async def test_many_clients_are_closed_some_at_a_time_and_a_stop_ends_it() -> None:
    clients = [Client(number, "ann") for number in range(2 * ACTIONS_PER_TICK + 10)]
    runner = ClientCommands(clients, NODE)
    runner._commands = [DisconnectCommand(user="ann")]
    runner._match()
    assert sum(bool(client.closed) for client in clients) == ACTIONS_PER_TICK
    await asyncio.sleep(0)
    assert sum(bool(client.closed) for client in clients) == 2 * ACTIONS_PER_TICK
    runner.add(DisconnectCommand(user="ann", code=4000))
    runner.stop()
    assert await stays_true(lambda: sum(bool(client.closed) for client in clients) == 2 * ACTIONS_PER_TICK, 0.1)


async def test_with_many_commands_the_look_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_commands, "MAX_COMMANDS", 10)
    clients = [Client(number, f"user {number}") for number in range(20)]
    runner = ClientCommands(clients, NODE)
    runner._passed_at = asyncio.get_running_loop().time() + 60
    for number in range(20):
        runner.add(DisconnectCommand(user=f"user {number}"))
    assert all(client.closed for client in clients)
    runner.stop()


async def test_clients_are_given_another_end() -> None:
    ann, other_ann, bob = Client(1, "ann"), Client(2, "ann"), Client(3, "bob")
    runner = ClientCommands([ann, other_ann, bob], NODE)
    for command in (
        RefreshCommand(user="ann", expires_at=1.0),
        RefreshCommand(user="ann", expires_at=2.0),
        RefreshCommand(client=other_ann.id.hex(), expires_at=3.0),
        RefreshCommand(user="bob", client=ann.id.hex(), expires_at=4.0),
        RefreshCommand(client=bob.id.hex()),
    ):
        runner.add(command)
    await wait_until(lambda: bob.ends)
    assert (ann.ends, other_ann.ends, bob.ends) == ([2.0], [3.0], [None])
    assert not any(client.closed for client in (ann, other_ann, bob))


async def test_a_right_that_is_said_to_have_expired_closes_the_client() -> None:
    ann, bob = Client(1, "ann"), Client(2, "bob")
    runner = ClientCommands([ann, bob], NODE)
    runner.add(RefreshCommand(user="ann", expires_at=99.0))
    runner.add(RefreshCommand(user="ann", expired=True))
    runner.add(RefreshCommand(client=bob.id.hex(), expired=True))
    await wait_until(lambda: bob.closed)
    assert ann.closed == bob.closed == [Disconnect.TOKEN_EXPIRED]
    assert not ann.ends


async def test_clients_are_subscribed() -> None:
    ann, other_ann, bob, unnamed = Client(1, "ann", "a"), Client(2, "ann", "b"), Client(3, "bob"), Client(4)
    runner = ClientCommands([ann, other_ann, bob, unnamed], NODE)
    for command in (
        SubscribeCommand(user="ann", channel="c", info=Raw(b"1"), data=Raw(b"[2]")),
        SubscribeCommand(client=unnamed.id.hex(), channel="d"),
        SubscribeCommand(user="bob", client=ann.id.hex(), channel="e"),
        SubscribeCommand(channel="f"),
    ):
        runner.add(decode_broadcast(encode(command)))  # type: ignore[arg-type]
    await wait_until(lambda: unnamed.told)
    assert ann.told == other_ann.told == ["+c b'1' b'[2]'"]
    assert (unnamed.told, bob.told) == (["+d None None"], [])


ANN = (NODE + bytes([0] * 7 + [1])).hex()


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ([UnsubscribeCommand(user="ann", channel="a"), SubscribeCommand(user="ann", channel="a")], ["-a", "+a"]),
        ([SubscribeCommand(user="ann", channel="a"), UnsubscribeCommand(user="ann", channel="a")], ["-a"]),
        ([SubscribeCommand(user="ann", channel="b"), UnsubscribeCommand(client=ANN, channel="b")], []),
        ([SubscribeCommand(client=ANN, channel="b"), UnsubscribeCommand(user="ann", channel="b")], []),
        ([UnsubscribeCommand(client=ANN, channel="b"), SubscribeCommand(user="ann", channel="b")], ["+b"]),
        ([SubscribeCommand(user="ann", channel="b"), SubscribeCommand(client=ANN, channel="b")], ["+b"]),
        ([UnsubscribeCommand(user="ann", channel="b")], []),
    ],
)
@pytest.mark.parametrize("passes", [1, 2])
async def test_of_two_commands_about_one_channel_the_later_one_counts(
    commands: list[ClientCommand], told: list[str], passes: int
) -> None:
    """Whether they come together or not: else a right that was taken away would come back."""
    ann = Client(1, "ann", "a")
    runner = ClientCommands([ann], NODE)
    runner._due[Client(0)] = _Due(Disconnect.FORCE_DISCONNECT)  # so that a pass carries out nothing itself
    for some in [commands] if passes == 1 else [[command] for command in commands]:
        runner._commands = [*some]
        runner._match()
    runner._act()
    assert [action.split()[0] for action in ann.told] == told


async def test_the_clients_of_a_blocked_user_are_closed() -> None:
    ann, bob, unnamed = Client(1, "ann"), Client(2, "bob"), Client(3)
    runner = ClientCommands([ann, bob, unnamed], NODE)
    runner.add(BlockCommand(user="ann", until=1.0))
    await wait_until(lambda: ann.closed)
    assert ann.closed == [Disconnect.USER_BLOCKED]
    assert not bob.closed
    assert not unnamed.closed


async def test_many_commands_for_many_clients_of_one_user_are_one_match() -> None:
    """Every program that may write to Redis can send them: neither their product nor what is due may grow."""
    clients = [Client(number, "ann") for number in range(2000)]
    runner = ClientCommands(clients, NODE)
    runner._commands = [UnsubscribeCommand(user="ann", channel=f"other {number}") for number in range(5000)]
    runner._commands += [UnsubscribeCommand(client=clients[0].id.hex(), channel="other")] * 5000
    runner._commands += [RefreshCommand(user="ann", expires_at=float(number)) for number in range(5000)]
    runner._commands += [SubscribeCommand(user="ann", channel=f"more {number}") for number in range(5000)]
    compared = 0
    names_user = client_commands._names_user

    def counting(command: ClientCommand, session: client_commands.ClientSession) -> bool:
        nonlocal compared
        compared += 1
        return names_user(command, session)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_commands, "_names_user", counting)
        runner._match()
    assert compared <= len(runner._commands) + 5000
    assert len({id(due.subscriptions[0]) for due in runner._due.values()}) == 1, "they share what is due"
    for _ in range(10):
        runner._commands = [DisconnectCommand(user="ann")]
        runner._match()
    assert len(runner._due) <= len(clients)
    runner.stop()


async def test_a_pass_over_many_clients_is_short() -> None:
    clients = [Client(number, None if number % 2 else f"user {number}") for number in range(20_000)]
    runner = ClientCommands(clients, NODE)
    seconds = []
    for _ in range(5):
        runner._commands = [DisconnectCommand(user="user 2"), DisconnectCommand(client=clients[1].id.hex())]
        began = time.process_time()
        runner._match()
        seconds.append(time.process_time() - began)
    print(f"a pass over 20,000 clients: {min(seconds) * 1000:.1f} ms")  # noqa: T201  # shown by -s
    assert min(seconds) < 0.1
