"""What the back end answers, and what it means. Pure.

    200  {"user": "ann", "channels": {"chat:*": "rw"}, "info": {"name": "Ann"}, "expires_at": 1790000000,
          "subscriptions": ["news"], "data": {"hello": "Ann"}, "meta": {"tenant": 7}}
         all of it optional; instead of `expires_at` perhaps `ttl`, in seconds
    401, 403  {"reason": "..."}, or anything else

The answer of Centrifugo's connect proxy is understood, too: `{"result": {"user": ..., "info": ..., "expire_at": ...,
"channels": [...], "subs": {...}, "data": ..., "meta": {...}}}` lets a client in, and `{"error": {...}}` or
`{"disconnect": {...}}` refuses it. Any other member is an error, but for options of `subs`: what is misspelt, or
unknown here, must not let a client in with other rights than were meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from relay.auth.authenticator import Identity
from relay.auth.given_json import ABSENT, given_json
from relay.auth.grant import UNUSABLE, Grant
from relay.auth.tokens import SubscriptionOptions, server_side_of
from relay.back_ends.answer_error import AnswerError
from relay.channel import is_visible

MAX_REASON: Final = 200
"""Characters of a sentence that goes to the client."""

REFUSED: Final = "you are not let in"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The client is not let in.

    Args:
        status: HTTP status for the client.
        reason: a sentence for it.
    """

    status: Literal[401, 403]
    reason: str = REFUSED


Decision = Identity | Refusal


class _Reason(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Result(msgspec.Struct, forbid_unknown_fields=True):
    """Centrifugo's: an empty user is none, and 0 is never."""

    user: str = ""
    expire_at: float = 0
    info: msgspec.Raw = ABSENT
    channels: list[str] | None = None
    subs: dict[str, SubscriptionOptions | None] | None = None
    data: msgspec.Raw = ABSENT
    meta: msgspec.Raw = ABSENT


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    user: str | None = None
    channels: dict[str, str] | None = None
    info: msgspec.Raw = ABSENT
    expires_at: float | None = None
    ttl: float | None = None
    subscriptions: list[str] | None = None
    data: msgspec.Raw = ABSENT
    meta: msgspec.Raw = ABSENT
    result: _Result | None = None
    error: _Reason | None = None
    disconnect: _Reason | None = None


_read_answer = msgspec.json.Decoder(_Answer).decode
_read_reason = msgspec.json.Decoder(_Reason).decode


def read_answer(body: bytes, now: float, defaults: dict[str, str]) -> Decision:
    """Return what an answer with status 200 means.

    Args:
        body: of the answer.
        now: seconds since 1970.
        defaults: RELAY_RIGHTS.

    Raises:
        AnswerError: it can't be used.
    """
    try:
        answer = _read_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerError(str(error) if isinstance(error, msgspec.MsgspecError) else "it is no JSON") from None
    refused = answer.disconnect or answer.error
    if refused is not None:
        return Refusal(403, _sentence(refused))
    try:
        grant = _of_answer(answer, now) if answer.result is None else _of_result(answer, answer.result)
        identity = grant.identity(defaults)
    except UNUSABLE as error:
        raise AnswerError(str(error)) from None
    if identity.expires_at is not None and identity.expires_at <= now:
        return Refusal(401, "your right has expired")
    return identity


def read_refusal(status: Literal[401, 403], body: bytes) -> Refusal:
    """Return what an answer with status 401 or 403 means; its body may be anything."""
    try:
        return Refusal(status, _sentence(_read_reason(body)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Refusal(status)


def _of_answer(answer: _Answer, now: float) -> Grant:
    expires_at = answer.expires_at
    if answer.ttl is not None:
        if expires_at is not None:
            raise AnswerError("it has both expires_at and ttl")
        expires_at = now + answer.ttl
    server_side = server_side_of(answer.subscriptions or (), None, data=answer.data, meta=answer.meta)
    return Grant(answer.user, answer.channels, expires_at, given_json(answer.info), server_side)


def _of_result(answer: _Answer, result: _Result) -> Grant:
    if answer != _Answer(result=result):
        raise AnswerError("it has other members beside result")
    server_side = server_side_of(result.channels or (), result.subs, data=result.data, meta=result.meta)
    return Grant(result.user or None, None, result.expire_at or None, given_json(result.info), server_side)


def _sentence(said: _Reason) -> str:
    """Return the back end's sentence for a client, if there is one that can be shown."""
    text = said.reason or said.message
    return text[:MAX_REASON] if text and is_visible(text) else REFUSED
