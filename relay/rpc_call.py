"""An RPC call of a client, and how it can end. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol

from relay.errors import RelayError

ERROR_CODES: Final = range(400, 2000)
"""Codes of errors that a back end may choose; those below are the relay's own."""

DISCONNECT_CODES: Final = range(3000, 5000)
"""Codes with which a back end may close a client; see `relay.errors.comes_back`."""


@dataclass(frozen=True, slots=True)
class RpcCall:
    """What a client asks of the back end. Its repr tells nothing of what was sent.

    Args:
        method: its name, as the client gives it.
        data: JSON, unless `binary`; empty: none.
        binary: whether the data is anything else.
        client: id of the client, 32 hexadecimal digits.
        user: its user; None: it has none.
        protocol: in which it speaks: its data and the answer's are JSON with `json`, any bytes with `protobuf`.
        transport: how it is connected: `websocket`, `sse` or `http_stream`.
        remote: its address.
        headers: what `PassedOn` has picked from the request with which it connected.
        meta: JSON that belongs to its connection and that it doesn't see; None: nothing.
    """

    method: str
    data: bytes = field(repr=False)
    binary: bool
    client: str
    user: str | None
    protocol: Literal["json", "protobuf"]
    transport: str
    remote: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    meta: bytes | None = field(default=None, repr=False)


class Rpc(Protocol):
    """Answers calls of clients."""

    def call(self, call: RpcCall) -> Awaitable[bytes]:
        """Return the data of the answer: JSON for a client that speaks JSON, empty when there is none.

        The call has perhaps been done when it is cancelled, or fails with `RpcFailed`: it is never made twice.

        Raises:
            RpcNotAvailable, RpcError, RpcDisconnect, RpcFailed: there is no such answer.
        """


class RpcNotAvailable(RelayError):
    """There is no back end that answers calls."""

    def __str__(self) -> str:
        return "no back end answers calls"


class RpcFailed(RelayError):
    """The back end has not answered as it should; the client may try again.

    Args:
        outcome: why, as it is counted.
    """

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome

    def __str__(self) -> str:
        return f"the back end has not answered the call: {self.outcome}"


class RpcError(RelayError):
    """The back end has answered with an error for the client.

    Args:
        code: one of `ERROR_CODES`.
        message: for the client.
        temporary: whether the client may try again.
    """

    outcome: ClassVar[str] = "error"
    """As it is counted."""

    def __init__(self, code: int, message: str, temporary: bool) -> None:
        super().__init__(code, message, temporary)
        self.code = code
        self.message = message
        self.temporary = temporary

    def __str__(self) -> str:
        return f"the back end has answered with error {self.code}"


class RpcDisconnect(RelayError):
    """The back end wants the client closed.

    Args:
        code: one of `DISCONNECT_CODES`.
        reason: for the client; at most 123 bytes of UTF-8.
    """

    outcome: ClassVar[str] = "disconnect"
    """As it is counted."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the back end has closed the client with {self.code}"
