"""Settings: the back end of yours that decides who clients are, with RELAY_AUTH=http."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationInfo, field_validator

from relay.settings.access_values import HttpUrl
from relay.settings.field import PREFIX, setting
from relay.settings.values import Range, ValueKind, split_list

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
    if name.lower() == "cookie":
        raise ValueError(f"not {name}: name the cookies in {PREFIX}AUTH_COOKIES")


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


HeaderNames = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    _names(_check_header, str.lower),
    ValueKind("list", "names of headers, separated by commas"),
]
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


class BackEndSettings(BaseModel):
    """Where the back end is, what it is told of a client, and how long and how often it is asked."""

    auth_url: HttpUrl | None = setting(
        None, "Back end", "Where your back end decides who clients are, with RELAY_AUTH=http: by the answer to a POST."
    )
    auth_headers: HeaderNames = setting(
        ("Authorization",),
        "Back end",
        "Headers that it gets; Authorization also has what came as ?token= or bearer.TOKEN.",
    )
    auth_cookies: CookieNames | None = setting(None, "Back end", "Cookies that it gets. Not set: none.")
    auth_parameters: ParameterNames | None = setting(
        None, "Back end", "Query parameters that it gets, besides token. Not set: none."
    )
    auth_timeout: Annotated[float, Range("seconds", 0.05, 60)] = setting(
        3.0, "Back end", "Seconds that it may take for an answer."
    )
    auth_concurrency: Annotated[int, Range("integer", 1, 10_000)] = setting(
        200, "Back end", "Most requests to it at once; ten times as many clients may wait for theirs."
    )
    auth_cache: Annotated[float, Range("seconds", 0, 3600)] = setting(
        0.0, "Back end", "Seconds for which an answer counts again for the same question; 0: it is asked each time."
    )

    @field_validator("auth_url")
    @classmethod
    def _some_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("auth") == "http":
            raise ValueError(f"{PREFIX}AUTH=http needs this")
        return value

    @field_validator("auth_timeout")
    @classmethod
    def _within_the_handshake(cls, value: float, info: ValidationInfo) -> float:
        longest = info.data.get("handshake_timeout")
        if info.data.get("auth") == "http" and longest is not None and value >= longest:
            raise ValueError(f"below {PREFIX}HANDSHAKE_TIMEOUT, which is {longest:g}")
        return value
