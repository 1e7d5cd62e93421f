"""Runs one command, or a batch of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from relay.web.api.call import Call, Finish
from relay.web.api.error import ApiError, Code, bad_request
from relay.web.api.methods import METHODS
from relay.web.api.not_available import NOT_AVAILABLE
from relay.web.api.parameters import BatchParameters, Parameters
from relay.web.api.results import BatchReplies, ErrorBody, Result

P = TypeVar("P", bound=Parameters)

MAX_ERROR_LETTERS = 300
"""Of a message about wrong parameters: it repeats names of fields that a back end may have made long."""

Count = Callable[[str, Code], None]
"""Counts a command: its method, and its error code or `OK`."""


async def run(call: Call, method: str, parameters: bytes) -> bytes:
    """Run one command, and return its result as JSON.

    Args:
        call: what methods work with.
        method: name of the method.
        parameters: JSON.

    Raises:
        ApiError: the command failed.
    """
    finish = await _start(call, method, parameters)
    return msgspec.json.encode(await finish())


async def run_batch(call: Call, parameters: BatchParameters, count: Count) -> bytes:
    """Run several commands, and return their replies as JSON.

    All are sent in their order before the first result is waited for. One that fails does not affect the others.

    Args:
        call: what methods work with.
        parameters: the commands.
        count: called for each command.
    """
    started: list[tuple[str, Finish | ApiError]] = []
    for number, command in enumerate(parameters.commands):
        method = "unknown"
        try:
            if len(command) != 1:
                raise bad_request(f"commands[{number}]: must have one key, the name of a method")
            name, raw = next(iter(command.items()))
            method = name if name in METHODS or name in NOT_AVAILABLE else "unknown"
            started.append((method, await _start(call, name, raw)))
        except ApiError as error:
            started.append((method, error))
    replies: list[dict[str, Result | ErrorBody]] = []
    for method, finish in started:
        try:
            if isinstance(finish, ApiError):
                raise finish
            replies.append({method: await finish()})
        except ApiError as error:
            replies.append({"error": ErrorBody(error.code, error.message)})
            count(method, error.code)
        else:
            count(method, Code.OK)
    return msgspec.json.encode(BatchReplies(replies))


async def _start(call: Call, name: str, parameters: bytes | msgspec.Raw) -> Finish:
    if name in NOT_AVAILABLE:
        raise ApiError(Code.NOT_AVAILABLE, f"not available: {name}")
    if (method := METHODS.get(name)) is None:
        raise ApiError(Code.METHOD_NOT_FOUND, "method not found")
    return await method.start(call, decode(parameters, method.parameters))


def decode(data: bytes | msgspec.Raw, kind: type[P]) -> P:
    """Return parameters from JSON.

    Args:
        data: JSON.
        kind: type of the parameters.

    Raises:
        ApiError: `data` is no JSON (HTTP status 400), or has not the fields of `kind`.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise bad_request(str(error)[:MAX_ERROR_LETTERS]) from None  # it may hold a field's whole name
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ApiError(Code.BAD_REQUEST, f"bad request: {error}", 400) from None
