"""Why TLS handshakes fail: OpenSSL's hundreds of reasons as a few kinds, for a metric. Pure."""

from __future__ import annotations

import enum
import ssl
from typing import Final


class Failure(enum.Enum):
    """A kind of failure; the value is its name in the metric."""

    TIMEOUT = "timeout"  # not complete within RELAY_HANDSHAKE_TIMEOUT
    DISCONNECTED = "disconnected"  # the client closed the connection without a word
    ALERT = "alert"  # the client gave up, and said so: mostly it doesn't trust the certificate
    VERSION = "version"  # the client speaks nothing newer than TLS 1.1
    CIPHER = "cipher"  # the two have no cipher, or no way to exchange keys, in common
    NO_CERTIFICATE = "no_certificate"  # the client has shown no certificate
    CERTIFICATE = "certificate"  # its certificate isn't signed by RELAY_TLS_CLIENT_CA, or has expired
    MALFORMED = "malformed"  # what came is no TLS


_REASONS: Final = {
    "UNSUPPORTED_PROTOCOL": Failure.VERSION,
    "VERSION_TOO_LOW": Failure.VERSION,
    "UNKNOWN_PROTOCOL": Failure.VERSION,
    "INAPPROPRIATE_FALLBACK": Failure.VERSION,
    "NO_SHARED_CIPHER": Failure.CIPHER,
    "NO_SUITABLE_KEY_SHARE": Failure.CIPHER,
    "NO_SHARED_GROUP": Failure.CIPHER,
    "NO_SUITABLE_GROUPS": Failure.CIPHER,
    "NO_SHARED_SIGNATURE_ALGORITHMS": Failure.CIPHER,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": Failure.CIPHER,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Failure.NO_CERTIFICATE,
    "CERTIFICATE_VERIFY_FAILED": Failure.CERTIFICATE,
}


def failure_of(error: ssl.SSLError) -> Failure:
    """Return the kind of an error of a handshake."""
    reason = getattr(error, "reason", None) or ""  # it is missing in errors that Python has made itself
    if "_ALERT_" in reason:
        return Failure.ALERT
    return _REASONS.get(reason, Failure.MALFORMED)
