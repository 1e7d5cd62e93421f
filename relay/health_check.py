"""`python -m relay.health_check`: is the gateway of this container ready? `relay health` in a few megabytes.

A health check runs inside the memory limit of the container: `relay health` loads and checks all settings, with the
libraries for that, and in a small container its peak gets the gateway killed. This one reads the environment variables
only, and imports nothing but sockets; and TLS when the gateway speaks it on the port that is asked.

Exit codes: 0 ready; 1 not ready, with the gateway's answer on standard error; 2 wrong usage.
"""

from __future__ import annotations

import os
import socket
import sys

TIMEOUT_SECONDS = 3.0
MAX_BYTES = 64 * 1024

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound


def main(arguments: list[str], timeout_seconds: float = TIMEOUT_SECONDS) -> int:
    """Ask the gateway, print its answer, and return the exit code.

    Args:
        arguments: none, or `--live` to ask whether it is alive (`/healthz`) instead of ready (`/readyz`).
        timeout_seconds: to connect, and for each read.
    """
    if arguments not in ([], ["--live"]):
        sys.stderr.write("usage: python -m relay.health_check [--live]\n")
        return 2
    word, path = ("alive", "/healthz") if arguments else ("ready", "/readyz")
    environment = {name.upper(): value for name, value in os.environ.items()}
    host, port = configured_address(environment)
    tls = bool(environment.get("RELAY_TLS_CERT")) and not environment.get("RELAY_METRICS_PORT")
    try:
        status, body = ask(host, port, path, timeout_seconds, tls=tls)
    except (OSError, ValueError) as error:
        reason = f"{host} port {port}: {getattr(error, 'strerror', None) or error}"
    else:
        if status == 200:
            sys.stdout.write(f"{word}\n")
            return 0
        reason = body.strip() or f"it answers with HTTP status {status}"
    sys.stderr.write(f"relay: not {word}: {reason}\n")
    return 1


def configured_address(environment: dict[str, str]) -> tuple[str, str]:
    """Return host and port of a gateway with these environment variables, which are not checked."""
    host = environment.get("RELAY_HOST", "").partition(",")[0].strip() or "127.0.0.1"
    port = environment.get("RELAY_METRICS_PORT") or environment.get("RELAY_PORT") or "8000"
    return _LOOPBACK.get(host, host), port


def ask(host: str, port: str, path: str, timeout_seconds: float, *, tls: bool = False) -> tuple[int, str]:
    """Return status and body of the gateway's answer.

    With TLS its certificate isn't checked: it is for the name that clients call it by, and this machine is asked.

    Raises:
        OSError: the gateway doesn't answer, or not in time.
        ValueError: the server doesn't speak HTTP, or the port is no number.
    """
    name = f"[{host}]" if ":" in host else host
    received = b""
    with socket.create_connection((host, int(port)), timeout_seconds) as connection:
        if tls:
            connection = _secure(connection)
        with connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
            while len(received) < MAX_BYTES and (chunk := connection.recv(4096)):
                received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or len(status) < 3 or not status.isdigit():
        if not received:
            raise ValueError("it closed the connection without an answer: there is no relay at this address")
        raise ValueError(f"it doesn't answer with HTTP but with {received[:40]!r}")
    return int(status), body.decode(errors="replace")


def _secure(connection: socket.socket) -> socket.socket:
    import ssl  # only here: it takes 4 MB

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
