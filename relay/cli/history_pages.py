"""A history as a command reads and prints it: page by page, whatever its size."""

from __future__ import annotations

from typing import NamedTuple

import click

from relay.brokers.history import MAX_PAGE, HistoryError, HistoryPage, HistoryStore
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.announcement import ask_namespaces
from relay.brokers.redis.history import RedisHistoryStore
from relay.cli.streams import print_json
from relay.cli.tail import line
from relay.message import Kind
from relay.metrics.counters import Counters
from relay.position import Position
from relay.settings import Settings


class Question(NamedTuple):
    """What a command wants of a history.

    Args:
        channel: its name.
        since: the messages after it, in reverse before it; None: from the first one on.
        limit: how many; None: all.
        reverse: whether the newest come first.
    """

    channel: str
    since: Position | None
    limit: int | None
    reverse: bool


async def read(settings: Settings, question: Question) -> HistoryPage:
    """Return what a question asks for.

    Which channels keep what is not for these settings to say: gateways have told it in Redis.

    Args:
        settings: where Redis is.
        question: the question.

    Raises:
        HistoryError: there is no answer; the text goes on behind "no history of CHANNEL:".
    """
    ca_file = None if settings.broker_ca_file is None else str(settings.broker_ca_file)
    address = parse_address(settings.broker_url, ca_file)
    prefix, timeout = settings.broker_prefix, settings.broker_timeout
    namespaces = await ask_namespaces(address, prefix, timeout)
    options = namespaces.options(question.channel)
    if not options.positioned:
        raise HistoryError("no gateway on this Redis keeps one; RELAY_HISTORY_SIZE and RELAY_NAMESPACES say which do")
    if not options.history_size and question.limit != 0:
        raise HistoryError("its messages are counted but not kept; --limit 0 shows the position")
    store = RedisHistoryStore(address, prefix, timeout, namespaces, Counters())
    try:
        return await _read_pages(store, question)
    finally:
        await store.close()


async def _read_pages(store: HistoryStore, question: Question) -> HistoryPage:
    """Read one page behind the other; what is published meanwhile is left out."""
    channel, since, limit, reverse = question
    page = await store.read(channel, since=since, limit=limit, newest_first=reverse)
    top, messages = page.top, list(page.messages)
    if since is not None and (since.epoch != top.epoch or (since.offset > top.offset and not reverse)):
        raise HistoryError(f"the position {since} is no longer valid, the channel is at {top}")
    while len(page.messages) == MAX_PAGE and (limit is None or len(messages) < limit):
        left = None if limit is None else limit - len(messages)
        page = await store.read(channel, since=messages[-1].position, limit=left, newest_first=reverse)
        if page.top.epoch != top.epoch:
            raise HistoryError("the history began again meanwhile; try again")
        messages += (message for message in page.messages if message.position.offset <= top.offset)
    return HistoryPage(top, messages)


def show(question: Question, page: HistoryPage, as_json: bool) -> None:
    """Print what was read.

    Args:
        question: what was asked for.
        page: what was read.
        as_json: as the server API answers, in one line.
    """
    if as_json:
        # Only here: it takes longer to load than all the rest.
        import msgspec

        from relay.web.api.publication import to_result

        print_json(msgspec.json.encode(to_result(page.top, page.messages)))
        return
    for message in page.messages:
        payload = message.payload if message.kind is Kind.BINARY else message.payload.decode()
        click.echo(f"{message.position.offset}  {line(payload)}")
    if missing := _missing(question, page):
        what = f"{_count(missing)} after {question.since} {'is' if missing == 1 else 'are'} no longer kept"
        click.secho(f"relay: {what}", fg="yellow", err=True)
    click.secho(f"relay: {_count(len(page.messages))}; the channel is at {page.top}", dim=True, err=True)


def _missing(question: Question, page: HistoryPage) -> int:
    """Return how many messages after the position that was asked for are gone."""
    if question.since is None or question.reverse or question.limit == 0:
        return 0
    first = page.messages[0].position.offset if page.messages else page.top.offset + 1
    return first - question.since.offset - 1


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages} messages"
