"""Why a gateway can't be reached, in words."""

from __future__ import annotations

import errno
import socket
import ssl

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientPayloadError,
    ConnectionTimeoutError,
    ServerDisconnectedError,
)
from aiohttp.client_reqrep import ConnectionKey

from relay.sdk.connection_failure import describe_failure

KEY = ConnectionKey("host", 8000, False, True, None, None, None)


def test_a_failed_connection_is_explained_in_the_words_of_the_system() -> None:
    """No "ssl:default" where there is no TLS, and no number."""
    refused = OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 8000)")
    assert describe_failure(ClientConnectorError(KEY, refused)) == "can't be reached: connection refused"
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert describe_failure(ClientConnectorError(KEY, unknown)) == "can't be reached: name or service not known"
    several = OSError("Multiple exceptions: one, another")
    assert describe_failure(ClientConnectorError(KEY, several)) == "can't be reached: multiple exceptions: one, another"


def test_tls_errors_keep_their_reason() -> None:
    """Numbers of TLS are not numbers of the system."""
    certificate = ssl.SSLCertVerificationError(1, "certificate verify failed")
    assert "certificate verify failed" in describe_failure(ClientConnectorCertificateError(KEY, certificate))
    plain = ssl.SSLError(1, "wrong version number")
    assert "wrong version number" in describe_failure(ClientConnectorSSLError(KEY, plain))


def test_other_errors_keep_their_text() -> None:
    assert describe_failure(ClientPayloadError("half of it")) == "broke off: half of it"
    assert describe_failure(ClientPayloadError()) == "broke off: ClientPayloadError"
    assert describe_failure(ServerDisconnectedError()) == "closed the connection without an answer"
    assert describe_failure(ConnectionTimeoutError()) == describe_failure(TimeoutError()) == "did not answer"
    assert describe_failure(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")) == (
        "broke off: Connection reset by peer"
    )
