"""What clients call of the back end."""

from __future__ import annotations

from functools import partial

from relay.errors import CustomDisconnect, RelayError
from relay.message import Kind
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.commands import RpcRequest
from relay.protocols.centrifuge.exchange import Exchange
from relay.protocols.centrifuge.results import Error, RpcResult
from relay.rpc_call import RpcDisconnect, RpcError, RpcNotAvailable


def call(exchange: Exchange, request: RpcRequest) -> None:
    """Call a procedure of the back end."""
    format = exchange.connection.wire.format
    exchange.session.call(
        request.method, bytes(request.data), format.kind is not Kind.TEXT, partial(_answered, exchange)
    )


def _answered(exchange: Exchange, answer: bytes | RelayError) -> None:
    if isinstance(answer, bytes):
        exchange.reply(RpcResult(exchange.connection.wire.data(answer or None)))
    elif isinstance(answer, RpcError):
        exchange.refuse(Error(answer.code, answer.message, answer.temporary))
    elif isinstance(answer, RpcDisconnect):
        exchange.close(CustomDisconnect(answer.code, answer.reason))
    elif isinstance(answer, RpcNotAvailable):
        exchange.refuse(codes.ERROR_NOT_AVAILABLE)
    else:
        exchange.refuse(codes.ERROR_INTERNAL)
