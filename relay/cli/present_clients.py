"""Who is on a channel, as a command reads and prints it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import click
import msgspec

from relay.brokers.presence import PRESENCE_TTL_SECONDS, PresenceStats, PresenceStore
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.presence import RedisPresenceStore
from relay.cli.streams import print_json
from relay.cli.tail import line
from relay.member import Member
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions, Namespaces
from relay.settings import Settings

# Which channels have presence is not for these settings to say. Where none is kept there is nothing to be read.
_ANY: Final = Namespaces(ChannelOptions(presence=True))


async def read(settings: Settings, channel: str) -> list[Member]:
    """Return who is on a channel.

    Args:
        settings: where Redis is.
        channel: its name.

    Raises:
        PresenceError: there is no answer; the text goes on behind "no presence of CHANNEL:".
    """
    async with _open(settings) as store:
        return await store.members(channel)


async def read_stats(settings: Settings, channel: str) -> PresenceStats:
    """Return how many are on a channel; see `read`."""
    async with _open(settings) as store:
        return await store.stats(channel)


def show(members: Sequence[Member], as_json: bool) -> None:
    """Print members of a channel.

    Args:
        members: in no order.
        as_json: as the server API answers.
    """
    if as_json:
        # Only here: it takes longer to load than all the rest.
        from relay.web.api.results import ClientInfo, PresenceResult

        print_json(msgspec.json.encode(PresenceResult.of(map(ClientInfo.of, members))))
        return
    for member in sorted(members, key=lambda member: (member.user is None, member.user, member.client)):
        info = "-" if isinstance(member.info, msgspec.UnsetType) else bytes(member.info).decode(errors="replace")
        click.echo(f"{member.client}  {_word(member.user)}  {line(info)}")
    stats = PresenceStats(len(members), len({member.user for member in members}))
    click.secho(f"relay: {_in_words(stats)}", dim=True, err=True)


def show_stats(stats: PresenceStats, as_json: bool) -> None:
    """Print how many there are; see `show`."""
    if as_json:
        from relay.web.api.results import PresenceStatsResult

        print_json(msgspec.json.encode(PresenceStatsResult(num_clients=stats.clients, num_users=stats.users)))
        return
    click.echo(_in_words(stats))


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[PresenceStore]:
    ca_file = None if settings.broker_ca_file is None else str(settings.broker_ca_file)
    address = parse_address(settings.broker_url, ca_file)
    prefix, timeout = settings.broker_prefix, settings.broker_timeout
    store = RedisPresenceStore(address, prefix, timeout, PRESENCE_TTL_SECONDS, _ANY, Counters())
    try:
        yield store
    finally:
        await store.close()


def _word(user: str | None) -> str:
    """Return a user as one word: in quotes where it has spaces, or would be taken for none."""
    if user is None:
        return "-"
    return line(msgspec.json.encode(user).decode() if user == "-" or len(user.split()) != 1 else user)


def _in_words(stats: PresenceStats) -> str:
    clients = "1 client" if stats.clients == 1 else f"{stats.clients} clients"
    return f"{clients}, {'1 user' if stats.users == 1 else f'{stats.users} users'}"
