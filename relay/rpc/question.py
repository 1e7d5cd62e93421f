"""What the back end is asked: a POST as Centrifugo's RPC proxy sends it. Pure.

    POST /relay/rpc HTTP/1.1
    X-Forwarded-For: 203.0.113.7
    Content-Type: application/json

    {"client": "4b1f...", "transport": "websocket", "protocol": "json", "encoding": "json", "user": "ann",
     "method": "price", "data": {"of": "tea"}, "meta": {"shop": 7}}

Data that is no JSON comes as `b64data` instead of `data`, and `encoding` is `binary`. An empty user is none; what is
empty besides is left out.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from relay.rpc_call import RpcCall

_ADDRESS_HEADER: Final = "X-Forwarded-For"


class _Question(msgspec.Struct, omit_defaults=True):
    client: str
    transport: str
    protocol: str
    encoding: Literal["json", "binary"]
    user: str
    method: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    b64data: str = ""
    meta: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


def body_of(call: RpcCall) -> bytes:
    """Return the body of the POST for a call."""
    question = _Question(
        call.client,
        call.transport,
        call.protocol,
        "binary" if call.binary else "json",
        call.user or "",
        call.method,
    )
    if call.binary:
        question.b64data = b64encode(call.data).decode()
    elif call.data:
        question.data = msgspec.Raw(call.data)
    if call.meta is not None:
        question.meta = msgspec.Raw(call.meta)
    return _encode(question)


def headers_of(call: RpcCall) -> Mapping[str, str]:
    """Return the headers of the POST for a call.

    What the client itself says of its address is left out: a client can claim any, and the relay knows the real one.
    """
    headers = {name: value for name, value in call.headers.items() if name.lower() != _ADDRESS_HEADER.lower()}
    headers[_ADDRESS_HEADER] = call.remote
    return headers
