"""Two gateways over one Redis, for clients that speak the Centrifuge protocol."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY

SECRET = "a secret of the tests, of 32 bytes and more"

NAMESPACES = {
    "kept": {"history_size": 100},
    "short": {"history_size": 3},
    "room": {"presence": True, "join_leave": True},
}

Pair = Callable[..., Awaitable[tuple[Gateway, Gateway]]]

FORMATS = ("json", "protobuf")


@pytest.fixture
def pair(embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str) -> Pair:
    """Two gateways over one Redis: `await pair(...)`, with settings."""

    async def start(**settings: object) -> tuple[Gateway, Gateway]:
        given = {
            "broker_url": redis_server.url,
            "broker_prefix": prefix,
            "namespaces": NAMESPACES,
            "api_keys": (KEY,),
            **settings,
        }
        one, other = await embedded(2, **given)
        await wait_until(lambda: one.ready and other.ready)
        return one, other

    return start


def token(user: str = "ann", seconds: float = 3600.0, **claims: Any) -> str:
    """Return a token for everything."""
    given = {"sub": user, "exp": int(time.time() + seconds), "channels": {"*": "rwph"}, **claims}
    return jwt.encode(given, SECRET)


WITH_TOKENS: dict[str, Any] = {"auth": "jwt", "jwt_secret": SecretStr(SECRET), "jwt_leeway": 0}
