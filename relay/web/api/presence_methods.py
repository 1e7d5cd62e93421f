"""The methods of the server API that tell who is on a channel.

Both do everything in their second half: what else a batch does makes no difference to them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from relay.brokers.presence import PresenceError, TooManyMembers, size_of
from relay.web.api.call import Call, Finish, in_time, legal_channel
from relay.web.api.error import ApiError, Code
from relay.web.api.parameters import PresenceParameters, PresenceStatsParameters
from relay.web.api.results import PresenceResult, PresenceStatsResult

_FEWER: Final = "presence_stats tells how many"

_T = TypeVar("_T")


async def presence(call: Call, parameters: PresenceParameters) -> Finish:
    """Return who is on a channel."""
    channel = _present(call, parameters.channel)

    async def finish() -> PresenceResult:
        members = await _ask_presence(call, call.presence.members(channel))
        if not call.room.take(sum(map(size_of, members))):
            raise ApiError(Code.LIMIT_EXCEEDED, f"the answers of the request are too large: {_FEWER}")
        return PresenceResult.of(members)

    return finish


async def presence_stats(call: Call, parameters: PresenceStatsParameters) -> Finish:
    """Return how many are on a channel."""
    channel = _present(call, parameters.channel)

    async def finish() -> PresenceStatsResult:
        stats = await _ask_presence(call, call.presence.stats(channel))
        return PresenceStatsResult(num_clients=stats.clients, num_users=stats.users)

    return finish


def _present(call: Call, name: str) -> str:
    """Return the name of a channel that has presence; raises `ApiError`."""
    channel = legal_channel("channel", name)
    if not call.namespaces.options(channel).presence:
        raise ApiError(Code.NOT_AVAILABLE, f"not available: it isn't kept who is on {channel}; see the option presence")
    return channel


async def _ask_presence(call: Call, work: Awaitable[_T]) -> _T:
    """Ask who is there; raises `ApiError` when there is no answer, or not in time."""
    try:
        return await in_time(call, work, "presence did not answer in time")
    except TooManyMembers as error:
        raise ApiError(Code.LIMIT_EXCEEDED, f"{error}: {_FEWER}") from None
    except PresenceError as error:
        raise ApiError(Code.INTERNAL, f"presence is not available: {error}") from None
