"""Calls and their ends: what they show of themselves where they are logged."""

from __future__ import annotations

from relay.errors import RelayError
from relay.rpc_call import RpcDisconnect, RpcError, RpcFailed, RpcNotAvailable
from tests.rpc.calls import call


def test_a_call_shows_nothing_of_what_was_sent() -> None:
    shown = repr(call(data=b"s3cret", headers={"Authorization": "s3cret"}, meta=b'"s3cret"'))
    assert "price" in shown
    assert "s3cret" not in shown


def test_an_end_says_what_it_is_without_the_back_ends_words() -> None:
    ends: dict[str, RelayError] = {
        "no back end answers calls": RpcNotAvailable(),
        "the back end has not answered the call: timeout": RpcFailed("timeout"),
        "the back end has answered with error 1000": RpcError(1000, "s3cret", temporary=True),
        "the back end has closed the client with 4500": RpcDisconnect(4500, "s3cret"),
    }
    assert [str(end) for end in ends.values()] == list(ends)
