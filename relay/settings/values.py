"""The kinds of values that settings have: how each is parsed, checked, described and shown."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from annotated_types import BaseMetadata, Ge, GroupedMetadata, Le
from pydantic import AfterValidator, BeforeValidator, SecretStr

from relay.auth.host import LOCAL, read_allowed_host
from relay.auth.origin import read_allowed
from relay.brokers import schemes
from relay.channel import PREFIX_RULE, check_channel, check_prefix
from relay.errors import ChannelError
from relay.redaction import MASK, escape_controls, mask_credentials
from relay.system_error import in_words

MOST_WORKERS: Final = 256

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z")


# RFC 9110, section 5.6.2; `*` is one, too.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class ValueKind:
    """A kind of values, as users read of it.

    Args:
        name: one word for tables, such as `seconds`.
        rule: which values are allowed; empty: the name says it all.
    """

    name: str
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.rule}" if self.rule else self.name

    @property
    def secret(self) -> bool:
        """Whether a value must never be shown, not even one that is refused."""
        return self.name in ("keys", "secret", "PEM")  # a private key may stand where a public one should


@dataclass(frozen=True, slots=True)
class Range(GroupedMetadata):
    """A number with a unit and inclusive bounds, for both pydantic and users.

    Args:
        unit: of the number; `integer` for a plain number.
        least: smallest allowed value.
        most: largest allowed value.
    """

    unit: str
    least: float
    most: float

    def __iter__(self) -> Iterator[BaseMetadata]:
        yield Ge(self.least)
        yield Le(self.most)

    @property
    def kind(self) -> ValueKind:
        """The unit and the bounds in words."""
        return ValueKind(self.unit, f"{show(self.least)} to {show(self.most)}")


def show(value: object) -> str:
    """Return a value as it is written in the environment, with secrets masked; `not set` for None."""
    if value is None:
        return "not set"
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ",".join(show(item) for item in value)
    if isinstance(value, dict) and not all(isinstance(item, str) for item in value.values() or (None,)):
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return ",".join(f"{show(key)}={show(item)}" for key, item in value.items())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return escape_controls(mask_credentials(str(value)))


def split_list(value: object) -> object:
    """Return a comma-separated list as a tuple; leave what is a list already."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return value


def _each(read: Callable[[str], str]) -> AfterValidator:
    """Return a validator that passes each item of a list through `read`, and drops repeated items."""

    def check(items: tuple[str, ...]) -> tuple[str, ...]:
        if not items:
            raise ValueError("at least one")
        return tuple(dict.fromkeys(map(read, items)))

    return AfterValidator(check)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _check_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse items that are neither IP addresses nor host names; drop repeated items."""
    wrong = [host for host in hosts if not _is_address(host) and not _HOST_NAME.match(host)]
    if wrong or not hosts:
        raise ValueError(f"not {', '.join(map(repr, wrong))}" if wrong else "at least one")
    return tuple(dict.fromkeys(hosts))


def _check_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse items that are neither IP addresses nor networks; drop repeated items."""
    if not networks:
        raise ValueError("at least one")
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(error) from None
    return tuple(dict.fromkeys(networks))


def _read_workers(value: object) -> int | str:
    """Return a number of processes, or `auto`."""
    text = str(value).strip().lower()
    if text == "auto":
        return text
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_WORKERS:
        raise ValueError
    return int(text)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether an address or host name is one of this machine alone."""
    return ipaddress.ip_address(host).is_loopback if _is_address(host) else host.lower().rstrip(".") == LOCAL


def _check_default_channel(name: str) -> str:
    try:
        return check_channel(name)
    except ChannelError as error:
        raise ValueError(error.rule) from None


def _check_ca_file(path: str) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        reason = "holds no PEM certificate" if isinstance(error, ssl.SSLError) else in_words(error)
        raise ValueError(f"this one can't be used: {reason}") from None
    return path


def _read_subprotocol(name: str) -> str:
    """Refuse a name that is not a token (RFC 6455, section 4.1): no client can offer it. Case matters."""
    if not _TOKEN.match(name):
        raise ValueError(f"not {name!r}")
    return name


def _check_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Refuse keys that can be guessed, and keys that no header can carry. The reasons never repeat a key."""
    for number, key in enumerate(keys, 1):
        text = key.get_secret_value()
        if not 16 <= len(text) <= 256:
            raise ValueError(f"number {number} has {len(text)} characters")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError(f"number {number} has other characters")
    return keys


def _check_text(text: str) -> str:
    """Refuse lone surrogates: Python makes them of bytes in the environment that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError from None
    return text


Hosts = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_check_hosts),
    ValueKind("list", "IP addresses or host names, separated by commas"),
]
Workers = Annotated[
    int | Literal["auto"], BeforeValidator(_read_workers), ValueKind("integer", f"1 to {MOST_WORKERS}, or auto")
]
Networks = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_check_networks),
    ValueKind("list", "IP addresses and networks such as 10.0.0.0/8, separated by commas"),
]
BrokerUrl = Annotated[
    str,
    AfterValidator(schemes.check_url),
    ValueKind("URL", schemes.rule()),
]
BrokerPrefix = Annotated[str, AfterValidator(check_prefix), ValueKind("text", PREFIX_RULE)]
CaFile = Annotated[
    str,
    AfterValidator(_check_ca_file),
    ValueKind("file", "a PEM file that this process can read, and only with rediss://"),
]
Origins = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    _each(read_allowed),
    ValueKind(
        "list", "origins such as https://app.example.com or https://*.example.com, separated by commas; null; or *"
    ),
]
HostNames = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    _each(read_allowed_host),
    ValueKind("list", "names such as relay.example.com or *.example.com, separated by commas, without ports; or *"),
]
Subprotocols = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    _each(_read_subprotocol),
    ValueKind("list", "names as in Sec-WebSocket-Protocol, separated by commas; * is the first that is offered"),
]
ApiKeys = Annotated[
    tuple[SecretStr, ...],
    BeforeValidator(split_list),
    AfterValidator(_check_keys),
    ValueKind("keys", "16 to 256 ASCII characters each, no white space, separated by commas"),
]
ChannelName = Annotated[
    str,
    AfterValidator(_check_default_channel),
    ValueKind("channel", "1 to 255 bytes of UTF-8, no white space, no control or invisible characters"),
]
Text = Annotated[str, AfterValidator(_check_text), ValueKind("text", "valid UTF-8")]
Lowered = BeforeValidator(_lower)
