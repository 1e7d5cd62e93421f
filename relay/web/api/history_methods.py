"""The methods of the server API that are about histories.

Both do everything in their first half, behind what the request has published before: so in a batch a history has the
messages of earlier commands, and one that is removed hasn't those of later ones any less.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from relay.brokers.history import MAX_PAGE, HistoryError, HistoryPage
from relay.errors import PublishError
from relay.message import PositionedMessage, content_bytes
from relay.position import Position
from relay.web.api.call import Call, Finish, in_time, legal_channel
from relay.web.api.error import ApiError, Code, bad_request
from relay.web.api.parameters import HistoryParameters, HistoryRemoveParameters, SinceParameters
from relay.web.api.publication import to_result
from relay.web.api.results import EmptyResult, HistoryResult

_AGAIN: Final = "doing it again does no harm"

_T = TypeVar("_T")


async def history(call: Call, parameters: HistoryParameters) -> Finish:
    """Return messages that a channel keeps, or only its position."""
    channel = legal_channel("channel", parameters.channel)
    options = call.namespaces.options(channel)
    limit, since, reverse = parameters.limit, parameters.since, parameters.reverse
    if not options.positioned or (limit and not options.history_size):
        raise _keeps_none(channel)
    if reverse and since is not None and not since.offset:
        raise bad_request("since.offset: must not be 0 with reverse: nothing comes before it")
    page = await _ask_history(
        call,
        call.history.read(
            channel,
            since=None if since is None else Position(since.epoch, since.offset),
            limit=MAX_PAGE if limit < 0 else limit,
            newest_first=reverse,
        ),
    )
    if since is not None:
        _check_since(since, page, reverse)
    result = to_result(page.top, _that_fit(call, page.messages))

    async def finish() -> HistoryResult:
        return result

    return finish


async def history_remove(call: Call, parameters: HistoryRemoveParameters) -> Finish:
    """Remove the messages that a channel keeps; its position stays."""
    channel = legal_channel("channel", parameters.channel)
    if not call.namespaces.options(channel).history_size:
        raise _keeps_none(channel)
    future = await _ask_history(call, call.control.remove_history(channel))

    async def finish() -> EmptyResult:
        try:
            await call.window.acknowledged(future)
        except PublishError as error:
            reason = f"{error.disconnect.reason}: it is removed, but gateways may still send clients messages of it"
            raise ApiError(Code.INTERNAL, f"{reason}; {_AGAIN}") from None
        return EmptyResult()

    return finish


async def _ask_history(call: Call, work: Awaitable[_T]) -> _T:
    """Do something with a history, behind what the request has published.

    Raises:
        ApiError: it didn't work, or not in time.
    """
    await call.window.settle()
    try:
        return await in_time(call, work, f"the history did not answer in time; {_AGAIN}")
    except HistoryError as error:
        raise ApiError(Code.INTERNAL, f"the history is not available: {error}; {_AGAIN}") from None


def _check_since(since: SinceParameters, page: HistoryPage, reverse: bool) -> None:
    """Refuse a position that says nothing about what has come since."""
    if since.epoch and since.epoch != page.top.epoch:
        raise ApiError(Code.UNRECOVERABLE_POSITION, f"unrecoverable position: the epoch is {page.top.epoch} now")
    if since.offset > page.top.offset and not reverse:
        raise ApiError(
            Code.UNRECOVERABLE_POSITION, f"unrecoverable position: the newest message has the offset {page.top.offset}"
        )


def _that_fit(call: Call, messages: list[PositionedMessage]) -> list[PositionedMessage]:
    """Return as many messages as the answer has room for; a request whose room is used up gets an error."""
    for number, message in enumerate(messages):
        if not call.room.take(content_bytes(message)):
            if not number:
                raise ApiError(Code.LIMIT_EXCEEDED, "the answers of the request are too large: ask for less at once")
            return messages[:number]
    return messages


def _keeps_none(channel: str) -> ApiError:
    return ApiError(Code.NOT_AVAILABLE, f"not available: {channel} keeps no history; see history_size")
