"""Errors in words, whatever library wraps them."""

from __future__ import annotations

import re
import socket
import ssl

import pytest
import redis
import redis.asyncio

from relay.system_error import in_words
from tests.harness.free_port import free_port

REFUSED = "can't connect to h:1: Connection refused"
NUMBER = re.compile(r"\[?Errno|_ssl\.c|Error -?\d+")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 113] No route to host"),
            "Multiple exceptions: Connection refused, No route to host",
        ),
        (FileNotFoundError(2, "No such file or directory", "a.pem"), "No such file or directory: 'a.pem'"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"), "wrong version number"),
        (TimeoutError("_ssl.c:989: The handshake operation timed out"), "The handshake operation timed out"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (redis.ConnectionError("Error 111 connecting to h:1. Connection refused."), REFUSED),
        (redis.ConnectionError("Error 111 connecting to h:1. Connect call failed ('h', 1)."), REFUSED),
        (redis.ConnectionError("Error -2 connecting to h:1. Name not known."), "can't connect to h:1: Name not known"),
        (redis.ConnectionError("Error while reading from h:1 : (104, 'Connection reset by peer')"), None),
        (TimeoutError(), "TimeoutError"),
        (ValueError("(2, 3) isn't a number"), "(2, 3) isn't a number"),
    ],
)
def test_no_number_of_the_system_is_shown(error: Exception, expected: str | None) -> None:
    words = in_words(error)
    assert not NUMBER.search(words)
    assert not re.search(r"\b(104|111)\b", words)
    assert expected in (None, words)


async def test_what_redis_py_says_of_a_port_without_listener() -> None:
    """In both of its forms."""
    port = free_port()
    expected = f"can't connect to 127.0.0.1:{port}: Connection refused"
    with redis.Redis("127.0.0.1", port) as client, pytest.raises(redis.ConnectionError) as raised:
        client.get("key")
    assert in_words(raised.value) == expected
    async with redis.asyncio.Redis(host="127.0.0.1", port=port) as other:
        with pytest.raises(redis.ConnectionError) as raised:
            await other.get("key")
    assert in_words(raised.value) == expected
