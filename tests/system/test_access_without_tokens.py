"""Clients that are known by a cookie, a key, a function or a program, or not at all."""

from __future__ import annotations

from pydantic import SecretStr

from relay import Gateway, Settings
from relay.auth.authenticator import Identity
from relay.auth.grant import Grant
from relay.errors import Refused
from relay.protocols.request import ConnectRequest
from tests.system.credentials import KEY, SECRET, WAYS, ask, token


async def test_a_cookie_is_a_credential_where_the_settings_name_it() -> None:
    settings = Settings(port=0, drain_seconds=0, auth="jwt", jwt_secret=SecretStr(SECRET), auth_cookie="session")
    async with Gateway(settings) as gateway:
        for way in WAYS:
            answer = await ask(gateway, way, "chat:1", f"Cookie: a=b; session={token()}")
            assert answer.status == (101 if way == "websocket" else 200)
            assert (await ask(gateway, way, "chat:1", "Cookie: session=x")).status == 401


async def test_keys_let_in_whoever_has_one() -> None:
    keys = (KEY, "an0ther-key-of-bob;user=bob;chat:*=r;user:{sub}=rw")
    async with Gateway(Settings(port=0, drain_seconds=0, auth="key", auth_keys=tuple(map(SecretStr, keys)))) as gateway:
        assert (await ask(gateway, "poll", "anything", f"Authorization: Bearer {KEY}")).status == 200
        bob = "Authorization: Bearer an0ther-key-of-bob"
        assert (await ask(gateway, "poll", "user:bob", bob)).status == 200
        assert (await ask(gateway, "publish", "user:bob", bob)).status == 200
        assert (await ask(gateway, "publish", "chat:1", bob)).status == 403
        for wrong in (KEY[:-1], KEY + "x", KEY.upper(), "x" * 5000, "é" * 20):
            answer = await ask(gateway, "poll", "anything", query=f"?token={wrong.replace('é', '%C3%A9')}")
            assert (answer.status, answer.text) == (401, "the key is none of this relay's\n")


async def test_keys_without_rights_have_those_of_all_where_there_are_some() -> None:
    settings = Settings(port=0, drain_seconds=0, auth="key", auth_keys=(SecretStr(KEY),), rights={"news": "r"})
    async with Gateway(settings) as gateway:
        assert (await ask(gateway, "poll", "news", query=f"?token={KEY}")).status == 200
        assert (await ask(gateway, "poll", "chat:1", query=f"?token={KEY}")).status == 403


async def test_rights_can_be_limited_without_credentials() -> None:
    settings = Settings(port=0, drain_seconds=0, rights={"news": "r", "user:{sub}": "rw"})
    async with Gateway(settings) as gateway:
        assert (await ask(gateway, "poll", "news")).status == 200
        assert (await ask(gateway, "publish", "news")).status == 403
        assert (await ask(gateway, "publish", "user:ann", query="?user=ann")).status == 200
        assert (await ask(gateway, "publish", "user:ann", query="?user=bob")).status == 403


async def identify(request: ConnectRequest) -> Grant | None:
    """Decide by the name in the query, as a function of a program would."""
    name = request.query.get("name")
    if name == "late":
        raise Refused(403, "not at this time")
    return None if name is None else Grant(name, {"chat:*": "rw"})


async def test_a_function_decides() -> None:
    async with Gateway(Settings(port=0, drain_seconds=0, auth=f"{__name__}.identify")) as gateway:
        for way in WAYS:
            assert (await ask(gateway, way, "chat:1", query="?name=ann")).status in (101, 200)
            assert (await ask(gateway, way, "news", query="?name=ann")).status == 403
            assert (await ask(gateway, way, "chat:1")).status == 401
            late = await ask(gateway, way, "chat:1", query="?name=late")
            assert (late.status, late.text) == (403, "not at this time\n")


class Everybody:
    """An authenticator that a program brings; lets in whoever comes."""

    def identify(self, request: ConnectRequest) -> Identity:
        """See `relay.auth.authenticator.Authenticator`."""
        return Identity("ann")


async def test_pages_of_other_sites_are_refused_where_a_program_decides() -> None:
    async with Gateway(Settings(port=0, drain_seconds=0), authenticator=Everybody()) as gateway:
        assert (await ask(gateway, "websocket", "a", "Origin: https://evil.example")).status == 403
        assert (await ask(gateway, "websocket", "a")).status == 101
