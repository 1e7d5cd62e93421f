"""Why a gateway can't be reached, in words."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientPayloadError,
)
from aiohttp.client_reqrep import ConnectionKey

from relay.cli.unreachable import answered, unreachable

KEY = ConnectionKey("host", 8000, False, True, None, None, None)


def test_a_failed_connection_is_explained_in_the_words_of_the_system() -> None:
    """No "ssl:default" where there is no TLS, and no number."""
    refused = OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 8000)")
    assert unreachable(ClientConnectorError(KEY, refused)) == "can't be reached: connection refused"
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert unreachable(ClientConnectorError(KEY, unknown)) == "can't be reached: name or service not known"
    several = OSError("Multiple exceptions: one, another")
    assert unreachable(ClientConnectorError(KEY, several)) == "can't be reached: multiple exceptions: one, another"


def test_tls_errors_keep_their_reason() -> None:
    """Numbers of TLS are not numbers of the system."""
    certificate = ssl.SSLCertVerificationError(1, "certificate verify failed")
    assert "certificate verify failed" in unreachable(ClientConnectorCertificateError(KEY, certificate))
    plain = ssl.SSLError(1, "wrong version number")
    assert "wrong version number" in unreachable(ClientConnectorSSLError(KEY, plain))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "no relay at this address"),
        (404, "no relay at this address"),
        (421, "its RELAY_ALLOWED_HOSTS doesn't have the name"),
        (426, "a proxy on the way"),
        (429, "this address or user has reached a limit; the gateway's log says which"),
        (503, "it is full, is shutting down, or can't reach its bus; ask `relay health`"),
    ],
)
def test_a_status_is_explained(status: int, words: str) -> None:
    """A number alone says nothing to the user of the command."""
    assert answered(status).startswith(f"answered HTTP {status}: ")
    assert words in answered(status)


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        (401, None, "it wants a key or a token, with RELAY_TOKEN or --token"),
        (401, "abc", "it doesn't accept this key or token; `relay token --check` may know why"),
        (403, None, "not everybody may listen to this channel; a key or token goes into RELAY_TOKEN"),
        (403, "abc", "this key or token gives no right to listen to the channel"),
    ],
)
def test_a_refusal_is_explained_by_what_the_client_came_with(status: int, token: str | None, words: str) -> None:
    assert answered(status, token) == f"answered HTTP {status}: {words}"


def test_other_errors_keep_their_text() -> None:
    assert unreachable(ClientPayloadError("half of it")) == "broke off: half of it"
    assert unreachable(ClientPayloadError()) == "broke off: ClientPayloadError"
