"""Errors in words, whatever library wraps them."""

from __future__ import annotations

import re
import socket
import ssl

import pytest
import redis

from relay.system_error import in_words
from tests.harness.free_port import free_port

NUMBER = re.compile(r"\[?Errno|_ssl\.c|Error -?\d+")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"), None),
        (FileNotFoundError(2, "No such file or directory", "a.pem"), "No such file or directory: 'a.pem'"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"), "wrong version number"),
        (TimeoutError("_ssl.c:989: The handshake operation timed out"), "The handshake operation timed out"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (redis.ConnectionError("Error 111 connecting to h:1. Connection refused."), None),
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


def test_what_redis_py_says_of_a_port_without_listener() -> None:
    with redis.Redis(port=free_port()) as client, pytest.raises(redis.ConnectionError) as raised:
        client.ping()
    assert in_words(raised.value).startswith("error connecting to localhost:")
    assert not NUMBER.search(in_words(raised.value))
