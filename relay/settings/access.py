"""Settings: who may do what."""

from __future__ import annotations

from pydantic import BaseModel

from relay.settings.field import setting
from relay.settings.values import (
    ApiKeys,
)


class AccessSettings(BaseModel):
    """Credentials of back ends."""

    api_keys: ApiKeys | None = setting(
        None, "Server API", "Keys that open /api to back ends, several for rotation. Not set: /api is off."
    )
