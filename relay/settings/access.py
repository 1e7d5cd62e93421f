"""Settings: who clients and back ends are, and what they may do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, SecretStr, ValidationInfo, field_validator

from relay.settings.access_values import (
    AuthKeys,
    AuthMode,
    CookieName,
    HttpUrl,
    PublicKeys,
    RightsByPattern,
    Texts,
    TokenSecret,
    read_keys,
)
from relay.settings.field import PREFIX, setting
from relay.settings.values import ApiKeys, Lowered, Range, Text


class AccessSettings(BaseModel):
    """How clients are identified, what they may do, and the keys of back ends."""

    auth: AuthMode = setting(
        "none", "Access", "How clients are identified; none: any client may do everything. See docs/auth.md."
    )
    rights: RightsByPattern | None = setting(
        None,
        "Access",
        "What all clients may do. Not set: what their credential gives; with RELAY_AUTH=none everything.",
    )
    auth_keys: AuthKeys | None = setting(
        None, "Access", "Keys of clients. A key without rights gives RELAY_RIGHTS, or everything if that is not set."
    )
    auth_cookie: CookieName | None = setting(
        None, "Access", "Cookie that may hold a client's key or token. Not set: none."
    )
    jwt_secret: TokenSecret | None = setting(None, "Access", "Secret that signs tokens with HS256, HS384 or HS512.")
    jwt_previous_secret: TokenSecret | None = setting(
        None, "Access", "Previous secret; needed until the last token that it signed has expired."
    )
    jwks_url: HttpUrl | None = setting(
        None,
        "Access",
        "Where the issuer of tokens publishes its keys, as a JWK set. Not set: only keys in these settings.",
    )
    jwt_public_key: PublicKeys | None = setting(
        None, "Access", "Public keys of the issuer of tokens, for RS*, PS*, ES* and EdDSA; several for rotation."
    )
    jwt_issuer: Text | None = setting(None, "Access", "The iss that a token must have. Not set: any.")
    jwt_audience: Texts | None = setting(None, "Access", "A token's aud must contain one of these. Not set: any.")
    jwt_leeway: Annotated[float, Range("seconds", 0, 300)] = setting(
        5.0, "Access", "Seconds by which the clocks of issuer and gateways may differ."
    )
    jwt_expiry: Annotated[Literal["required", "optional"], Lowered] = setting(
        "required", "Access", "Whether a token must have exp; a token without it is valid for ever."
    )

    api_keys: ApiKeys | None = setting(
        None, "Server API", "Keys of back ends for /api; several for rotation. Not set: /api is off."
    )

    @field_validator("auth_keys")
    @classmethod
    def _known_keys(cls, value: tuple[SecretStr, ...] | None, info: ValidationInfo) -> tuple[SecretStr, ...] | None:
        if value is not None:
            read_keys(value, everything=True)
        elif info.data.get("auth") == "key":
            raise ValueError(f"{PREFIX}AUTH=key needs at least one")
        return value

    @field_validator("jwt_public_key")
    @classmethod
    def _some_key(cls, value: str | None, info: ValidationInfo) -> str | None:
        others = ("jwt_secret", "jwks_url")
        if value is None and info.data.get("auth") == "jwt" and all(info.data.get(name, "") is None for name in others):
            raise ValueError(
                f"{PREFIX}AUTH=jwt needs this, {PREFIX}JWKS_URL, or {PREFIX}JWT_SECRET: "
                "`relay token --new-secret` prints one"
            )
        return value
