"""The address of a Redis and its log-in: the one reader of Redis URLs, for settings, gateways, publishers and commands.

redis-py's own reader is not used. It ignores options that it doesn't know, has some that a gateway's links can't
honour, and drops or overrides parts that are given twice; so one URL would have two meanings.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from relay.brokers import schemes
from relay.system_error import in_words

SCHEMES: Final = tuple(name for name, scheme in schemes.SCHEMES.items() if scheme.urls == __name__)

MAX_PORT = 65_535

_OPTIONS = frozenset({"db", "username", "password"})
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs"})
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Tls:
    """The options of TLS.

    Args:
        ca_file: PEM file of the authority to trust; None: the system's authorities.
        certificate_file: PEM file of this side's certificate; None: the server requires none.
        key_file: PEM file of its key; None: it is in the file of the certificate.
        check_hostname: whether the server's certificate must be for the host of the URL.
        verify: whether the server's certificate must come from the authority.
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Return the context of TLS connections with these options.

        Raises:
            ValueError: a file can't be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise ValueError(f"the authority's certificates can't be used: {_reason(error)}") from None
        if not self.check_hostname or not self.verify:
            context.check_hostname = False
        if not self.verify:
            context.verify_mode = ssl.CERT_NONE
        if self.certificate_file is not None:
            try:
                context.load_cert_chain(self.certificate_file, self.key_file)
            except (OSError, ValueError) as error:
                raise ValueError(f"ssl_certfile and ssl_keyfile can't be used: {_reason(error)}") from None
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """All that is needed to connect and to log in.

    Args:
        host: name or IP address; unused with a path.
        port: TCP port.
        path: of a Unix socket; None for TCP.
        username: for AUTH; None for the default user.
        password: for AUTH; None: Redis requires none.
        db: number for SELECT. Pub/sub ignores it: channels are the same in all databases.
        tls: context of a TLS connection; None for plain TCP.
        tls_options: the options of the context.
    """

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    tls_options: Tls | None = None

    def __str__(self) -> str:
        """Return where it is, without any secret, for logs."""
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def client_options(self) -> dict[str, Any]:
        """The arguments of redis-py's connections, without their class."""
        place = {"host": self.host, "port": self.port} if self.path is None else {"path": self.path}
        options = {**place, "username": self.username, "password": self.password, "db": self.db}
        if self.tls_options is not None:
            tls = self.tls_options
            options |= {
                "ssl_ca_certs": tls.ca_file,
                "ssl_certfile": tls.certificate_file,
                "ssl_keyfile": tls.key_file or tls.certificate_file,
                "ssl_check_hostname": tls.check_hostname and tls.verify,
                "ssl_cert_reqs": "required" if tls.verify else "none",
            }
        return options


Resolver = Callable[[], Awaitable[Address]]
"""Returns where a Redis is now; asked before each attempt to connect.

It raises `ConnectError` when it can't tell, and must not wait for ever.
"""


def fixed(address: Address) -> Resolver:
    """Return the resolver of an address that never changes."""

    async def resolve() -> Address:
        return address

    return resolve


def parse_address(url: str, ca_file: str | None = None) -> Address:
    """Read a URL: `redis://[user:password@]host[:port][/db]`, `rediss://...`, or `unix:///path[?db=0]`.

    User, password, host and path may be percent-encoded. Options after `?` are `db`, `username` and `password`, and
    with TLS `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname` (true or false) and `ssl_cert_reqs`
    (`required` or `none`).

    Args:
        url: what to read.
        ca_file: PEM file of the authority to trust; None for `ssl_ca_certs`, or those of the system.

    Raises:
        ValueError: it can't be used. The text never holds a part of the URL that may be a secret.
    """
    parts, port = _split(url)
    options = _read_options(parts)
    path: str | None = None
    host = unquote(parts.hostname or "")
    database = unquote(parts.path.strip("/"))
    if parts.scheme == "unix":
        path, database = unquote(parts.path), ""
        if host or port is not None or len(path) < 2:
            raise ValueError("unix:// needs the path of a socket, after three slashes")
    elif not host:
        raise ValueError("the host is missing")
    given = {"db": database, "username": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    for name, value in given.items():
        if value and name in options:
            raise ValueError(f"{name} is given twice, before and after the ?")
        options.setdefault(name, value)
    if not re.fullmatch("[0-9]{0,5}", options["db"], re.ASCII) or (options["db"] == "" and "db=" in parts.query):
        raise ValueError("the database must be a number")
    tls_options = _read_tls(options, ca_file) if parts.scheme == "rediss" else None
    if ca_file is not None and tls_options is None:
        raise ValueError("a file of authorities needs rediss://")
    username = options["username"] or None
    return Address(
        host=host or "localhost",
        port=6379 if port is None else port,
        path=path,
        username=username,
        # A user without a password logs in as well, with an empty one: else the link would be the default user's.
        password=options["password"] or (None if username is None else ""),
        db=int(options["db"] or 0),
        tls=None if tls_options is None else tls_options.context(),
        tls_options=tls_options,
    )


def check_url(url: str) -> None:
    """Refuse a URL that can't be used; see `parse_address`."""
    parse_address(url)


def describe(url: str) -> str:
    """Return the kind of bus that a URL names, and where it is, without user, password and options."""
    address = parse_address(url)
    return f"{schemes.name_of(url)}://{address}" + (f"/{address.db}" if address.path is None else "")


def _split(url: str) -> tuple[SplitResult, int | None]:
    """Return the parts of a URL, and its port."""
    if not url.isprintable() or " " in url:
        raise ValueError("no control characters or white space")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the host or the port is wrong; in a password, write / ? # as %2F %3F %23") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"the scheme must be one of {schemes.in_words(SCHEMES)}")
    if parts.fragment:
        raise ValueError("write # as %23")
    if port == 0:
        raise ValueError(f"the port must be 1 to {MAX_PORT}")
    return parts, port


def _read_options(parts: SplitResult) -> dict[str, str]:
    """Return the options after the `?`; one that would be ignored is refused."""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    known = _OPTIONS | _TLS_OPTIONS if parts.scheme == "rediss" else _OPTIONS
    if not options.keys() <= known:
        raise ValueError(f"options can be {', '.join(sorted(known))}")
    if len(options) < len(pairs):
        raise ValueError("an option is given twice")
    return options


def _read_tls(options: dict[str, str], ca_file: str | None) -> Tls:
    """Return the options of TLS."""
    if ca_file is not None and "ssl_ca_certs" in options:
        raise ValueError("the authority is given twice: leave out ssl_ca_certs")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("ssl_keyfile needs ssl_certfile")
    check_hostname = _BOOLEANS.get(options.get("ssl_check_hostname", "true").lower())
    if check_hostname is None:
        raise ValueError("ssl_check_hostname must be true or false")
    verify = options.get("ssl_cert_reqs", "required").lower()
    if verify not in ("required", "none"):
        raise ValueError("ssl_cert_reqs must be required or none")
    return Tls(
        ca_file=ca_file or options.get("ssl_ca_certs"),
        certificate_file=options.get("ssl_certfile"),
        key_file=options.get("ssl_keyfile"),
        check_hostname=check_hostname,
        verify=verify == "required",
    )


def _reason(error: Exception) -> str:
    return (
        "no PEM certificate, or a key that doesn't belong to it" if isinstance(error, ssl.SSLError) else in_words(error)
    )
