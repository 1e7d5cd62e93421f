"""The kinds of values that settings of back ends have: how each is parsed, checked, described and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from relay.settings.field import PREFIX
from relay.settings.values import ValueKind, split_list

MOST_NAMES: Final = 32
"""Of headers, cookies or parameters that are passed on."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")

_OF_THE_REQUEST_ITSELF: Final = re.compile(
    r"(?:Host|Connection|Keep-Alive|Transfer-Encoding|TE|Trailer|Upgrade|Expect|Accept-Encoding|"
    r"Content-.*|Proxy-.*|Sec-WebSocket-.*)\Z",
    re.IGNORECASE,
)
"""Headers that belong to one connection or one body (RFC 9110, sections 7.6.1 and 8): they say nothing of a client."""


def _check_header(name: str) -> None:
    if not _TOKEN.match(name):
        raise ValueError(f"not {name!r}")
    if _OF_THE_REQUEST_ITSELF.match(name):
        raise ValueError(f"not {name}: it belongs to the client's own request")


def _without_cookie(cookies: str) -> AfterValidator:
    """Return a validator that refuses the header `Cookie`, and names the setting for cookies."""

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name.lower() == "cookie":
                raise ValueError(f"not {name}: name the cookies in {PREFIX}{cookies}")
        return names

    return AfterValidator(check)


def _check_cookie(name: str) -> None:
    if not _TOKEN.match(name):
        raise ValueError(f"not {name!r}")


def _check_parameter(name: str) -> None:
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise ValueError(f"not {name!r}")


def _names(check: Callable[[str], None], same: Callable[[str], str] = str) -> AfterValidator:
    """Return a validator that checks each name of a list, and drops those for which `same` returns the same again."""

    def read(names: tuple[str, ...]) -> tuple[str, ...]:
        if len(names) > MOST_NAMES:
            raise ValueError(f"at most {MOST_NAMES}")
        first: dict[str, str] = {}
        for name in names:
            check(name)
            first.setdefault(same(name), name)
        return tuple(first.values())

    return AfterValidator(read)


_Headers = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    _names(_check_header, str.lower),
    ValueKind("list", "names of headers, separated by commas"),
]
HeaderNames = Annotated[_Headers, _without_cookie("AUTH_COOKIES")]
RpcHeaderNames = Annotated[_Headers, _without_cookie("RPC_COOKIES")]
CookieNames = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    _names(_check_cookie),
    ValueKind("list", "names of cookies, separated by commas"),
]
ParameterNames = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    _names(_check_parameter),
    ValueKind("list", "names of query parameters, separated by commas"),
]
