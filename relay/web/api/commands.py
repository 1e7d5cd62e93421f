"""From a command, or several in a batch, to replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from relay.web.api.error import ApiError, Code, bad_request
from relay.web.api.methods import METHODS, NOT_AVAILABLE, Call, Finish
from relay.web.api.parameters import BatchParameters, Parameters
from relay.web.api.results import BatchReplies, ErrorBody, Result

P = TypeVar("P", bound=Parameters)

Count = Callable[[str, Code], None]
"""Counts a command: its method and what came of it."""


async def run(call: Call, method: str, parameters: bytes) -> bytes:
    """Carry out one command; return its result as JSON."""
    finish = await _start(call, method, parameters)
    return msgspec.json.encode(await finish())


async def run_batch(call: Call, parameters: BatchParameters, count: Count) -> bytes:
    """Carry out several commands; return their replies as JSON.

    All are sent in their order before the first answer is waited for. One that fails leaves the others alone.
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

    Raises:
        ApiError: they are no JSON (400), or not those that the method takes.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise bad_request(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ApiError(Code.BAD_REQUEST, f"bad request: {error}", 400) from None
