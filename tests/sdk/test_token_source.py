"""The token of a client, and who is asked for another one."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from relay.sdk.token_source import TokenSource, token_headers


async def test_a_token_that_stands_is_never_asked_for() -> None:
    source = TokenSource("secret")
    assert (await source.get(), source.renewable) == ("secret", False)
    assert await TokenSource(None).get() is None


async def test_a_function_is_asked_once_for_all_that_need_a_token() -> None:
    numbers = itertools.count()

    async def ask() -> str:
        await asyncio.sleep(0)
        return f"token-{next(numbers)}"

    source = TokenSource(ask)
    assert source.renewable
    assert await asyncio.gather(*(source.get() for _ in range(3))) == ["token-0"] * 3
    # All of them are told together that it has expired.
    await asyncio.gather(*(source.renew("token-0") for _ in range(3)))
    assert await source.get() == "token-1"
    await source.renew("token-0")
    assert await source.get() == "token-1"


async def test_a_function_need_not_be_async_and_may_have_none() -> None:
    answers = iter([None, "secret"])
    source = TokenSource(lambda: next(answers))
    assert await source.get() is None
    assert await source.get() is None
    await source.renew(None)
    assert await source.get() == "secret"


async def test_a_function_that_fails_is_asked_again() -> None:
    answers = iter(["no number", "7"])
    source = TokenSource(lambda: str(int(next(answers))))
    with pytest.raises(ValueError, match="no number"):
        await source.get()
    assert await source.get() == "7"


def test_a_token_travels_in_a_header() -> None:
    assert token_headers("secret") == {"Authorization": "Bearer secret"}
    assert token_headers(None) == {}
