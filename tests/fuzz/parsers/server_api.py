"""The parser of the bodies of the server API."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from relay.web.api.commands import decode
from relay.web.api.error import ApiError
from relay.web.api.methods import METHODS
from relay.web.api.parameters import BatchParameters, Parameters
from tests.fuzz.grammar.credential import JSON_TOKENS
from tests.fuzz.grammar.json_text import vary
from tests.fuzz.parsers.parser import Parser, expect

KINDS: Final = {"batch": BatchParameters} | {name: method.parameters for name, method in METHODS.items()}

_CLIENT: Final = b'"client":"0123456789abcdef0123456789abcdef"'
BODIES: Final = (
    b'publish\n{"channel":"x","data":{"a":[1,2.5e3,null]},"skip_history":true,"tags":{"a":"b"}}',
    b'publish\n{"channel":"chat:1","b64data":"AAE=","idempotency_key":"k"}',
    b'broadcast\n{"channels":["x","chat:1"],"data":"hello"}',
    b'unsubscribe\n{"channel":"x","user":"ann",%b}' % _CLIENT,
    b'disconnect\n{"user":"ann","whitelist":["0123456789abcdef0123456789abcdef"]}',
    b'disconnect\n{%b,"disconnect":{"code":4000,"reason":"\\u20ac"}}' % _CLIENT,
    b'refresh\n{"user":"ann","expired":false,"expire_at":4102444800}',
    b'block_user\n{"user":"ann","ttl":60.5}',
    b'unblock_user\n{"user":"ann"}',
    b'channels\n{"pattern":"chat:[a-z]*"}',
    b"info\n{}",
    b'batch\n{"commands":[{"publish":{"channel":"x","data":1}},{"info":{}},{"channels":{"pattern":"*"}}],"parallel":true}',
    b"batch\n" + b'{"a":' * 300,
    b"publish\n" + b"[" * 1500,
)
TOKENS: Final = (
    *JSON_TOKENS,
    b'"channel"',
    b'"data"',
    b'"\\ud83d\\ude00"',
    b'"\\',
    b"{}",
    b"0" * 400,
    b"9" * 400,
    b"1e-400",
)


def make_body(random: Random) -> bytes:
    """Return the name of a method, and in the next line its parameters."""
    name, _, body = random.choice(BODIES).partition(b"\n")
    return name + b"\n" + (vary(body, random) if random.random() < 0.6 else body)


def read_body(data: bytes) -> tuple[Any, ...]:
    """Return the parameters of a method, and those of the commands in a batch."""
    name, _, body = data.partition(b"\n")
    kind = KINDS.get(name.decode("latin-1"), BatchParameters)
    parameters = decode(body, kind)
    expect(parameters, kind)
    if not isinstance(parameters, BatchParameters):
        return (parameters,)
    return parameters, [_nested(name, raw) for command in parameters.commands for name, raw in command.items()]


def _nested(name: str, raw: Any) -> Parameters | str:
    method = METHODS.get(name)
    try:
        return decode(raw, BatchParameters if method is None else method.parameters)
    except ApiError as error:
        return error.message


PARSERS: Final = {
    "parameters": Parser(8, make_body, TOKENS, read_body, errors=(ApiError,), untouched=0.4, for_clients=False)
}
