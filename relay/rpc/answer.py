"""What the back end answers a call, and what it means: as Centrifugo's RPC proxy reads it. Pure.

    {"result": {"data": {"price": 4}}}                                       the answer, as JSON
    {"result": {"b64data": "AAH/"}}                                          the answer, as any bytes
    {"error": {"code": 1000, "message": "no such tea", "temporary": false}}  an error for the client
    {"disconnect": {"code": 4500, "reason": "go away"}}                      the client is closed

Of several the last in this list counts. Other members are of no interest, but one of these must be there: of a
misspelt one the client must hear that nothing has come.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final

import msgspec

from relay.back_ends.answer_error import AnswerError
from relay.rpc_call import DISCONNECT_CODES, ERROR_CODES, RpcDisconnect, RpcError

MAX_REASON_BYTES: Final = 123
"""Of a reason to close: more don't fit into a close frame (RFC 6455, section 5.5)."""


class _Result(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw()
    b64data: str = ""


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    temporary: bool = False


class _Disconnect(msgspec.Struct):
    code: int = 0
    reason: str = ""


class _Answer(msgspec.Struct):
    result: _Result | None = None
    error: _Error | None = None
    disconnect: _Disconnect | None = None


_read_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes, json: bool) -> bytes:
    """Return the data of an answer; empty: it has none.

    Args:
        body: of the answer.
        json: whether the data has to be JSON; it is returned on one line then, as clients' framing may need it.

    Raises:
        RpcError, RpcDisconnect: it isn't an answer for the client, but one of these.
        AnswerError: it can't be used.
    """
    try:
        answer = _read_answer(body.decode())  # as text: msgspec doesn't look into what it leaves raw
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerError(str(error) if isinstance(error, msgspec.MsgspecError) else "it is no JSON") from None
    if answer.disconnect is not None:
        raise _read_disconnect(answer.disconnect)
    if answer.error is not None:
        raise _read_error(answer.error)
    if answer.result is None:
        raise AnswerError("it has neither result nor error nor disconnect")
    return _read_result(answer.result, json)


def _read_result(result: _Result, json: bool) -> bytes:
    if not result.b64data:
        data = bytes(result.data)
        return _on_one_line(data) if json and data else data
    try:
        data = b64decode(result.b64data, validate=True)
    except (binascii.Error, ValueError):
        raise AnswerError("b64data is no base64") from None
    return _on_one_line(data) if json and data else data


def _on_one_line(data: bytes) -> bytes:
    try:
        return msgspec.json.format(data.decode(), indent=-1).encode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise AnswerError("b64data is no JSON, and the client speaks nothing else") from None


def _read_error(error: _Error) -> RpcError:
    if error.code not in ERROR_CODES:
        raise AnswerError(f"the code of an error must be {ERROR_CODES.start} to {ERROR_CODES.stop - 1}")
    return RpcError(error.code, error.message, error.temporary)


def _read_disconnect(disconnect: _Disconnect) -> RpcDisconnect:
    if disconnect.code not in DISCONNECT_CODES:
        raise AnswerError(f"the code of a disconnect must be {DISCONNECT_CODES.start} to {DISCONNECT_CODES.stop - 1}")
    if len(disconnect.reason.encode()) > MAX_REASON_BYTES:
        raise AnswerError(f"the reason of a disconnect must have at most {MAX_REASON_BYTES} bytes")
    return RpcDisconnect(disconnect.code, disconnect.reason)
