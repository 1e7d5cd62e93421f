"""Settings: the back end of yours that decides who clients are, with RELAY_AUTH=http."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ValidationInfo, field_validator

from relay.settings.access_values import HttpUrl
from relay.settings.back_end_values import CookieNames, HeaderNames, ParameterNames
from relay.settings.field import PREFIX, setting
from relay.settings.values import Range


class BackEndSettings(BaseModel):
    """Where the back end is, what it is told of a client, and how long and how often it is asked."""

    auth_url: HttpUrl | None = setting(
        None, "Back end", "With RELAY_AUTH=http: where your back end answers, to a POST, who a client is."
    )
    auth_headers: HeaderNames = setting(
        ("Authorization",),
        "Back end",
        "Headers that your back end gets; Authorization also has a token from ?token= or bearer.TOKEN.",
    )
    auth_cookies: CookieNames | None = setting(None, "Back end", "Cookies that your back end gets. Not set: none.")
    auth_parameters: ParameterNames | None = setting(
        None, "Back end", "Query parameters that your back end gets, besides token. Not set: none."
    )
    auth_timeout: Annotated[float, Range("seconds", 0.05, 60)] = setting(
        3.0, "Back end", "Seconds that your back end may take for an answer."
    )
    auth_concurrency: Annotated[int, Range("integer", 1, 10_000)] = setting(
        200, "Back end", "Most requests to your back end at once; ten times as many clients may wait."
    )
    auth_cache: Annotated[float, Range("seconds", 0, 3600)] = setting(
        0.0, "Back end", "Seconds for which the same question gets the same answer; 0: the relay asks each time."
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
