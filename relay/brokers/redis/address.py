"""Where a Redis is and how to log in, from its URL."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

from redis.connection import parse_url


@dataclass(frozen=True, slots=True)
class Address:
    """Everything that opening a link needs.

    Args:
        host: name or IP address; unused with a path.
        port: TCP port.
        path: of a Unix socket; None for TCP.
        username: for AUTH; None for the default user.
        password: for AUTH; None when Redis wants none.
        db: number for SELECT. Pub/sub ignores it; commands on keys don't.
        tls: context of a TLS connection; None for plain TCP.
    """

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """Return the place without any secret, for logs."""
        return self.path or f"{self.host}:{self.port}"


def parse_address(url: str, ca_file: str | None = None) -> Address:
    """Read a `redis://`, `rediss://` or `unix://` URL, with the options that redis-py knows.

    Args:
        url: as redis-py takes it; of its query options `db`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`,
            `ssl_check_hostname` and `ssl_cert_reqs` (`none` or `required`) count here.
        ca_file: PEM file of the authority to trust; None for `ssl_ca_certs` or the system's.

    Raises:
        ValueError: the URL is not one.
        OSError: a certificate file can't be read.
    """
    options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    return Address(
        host=options.get("host", "localhost"),
        port=options.get("port", 6379),
        path=options.get("path"),
        username=options.get("username"),
        password=options.get("password"),
        db=options.get("db", 0),
        tls=_tls_context(options, ca_file) if url.startswith("rediss:") else None,
    )


def _tls_context(options: dict[str, Any], ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or options.get("ssl_ca_certs"))
    if str(options.get("ssl_check_hostname", "true")).lower() in ("0", "false", "no"):
        context.check_hostname = False
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certfile := options.get("ssl_certfile"):
        context.load_cert_chain(certfile, options.get("ssl_keyfile"))
    return context
