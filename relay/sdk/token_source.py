"""The key or token with which a client comes in, and where a new one comes from when it has expired."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

Token = str | Callable[[], str | Awaitable[str | None] | None]
"""A key or token, or a function that returns one; None: come in without. The function may be async."""


class TokenSource:
    """Keeps one token for all that a client does, and asks for another one when that has expired.

    Args:
        token: or the function that returns one; None: none.
    """

    def __init__(self, token: Token | None) -> None:
        self._ask = token if callable(token) else None
        self._token = None if callable(token) else token
        self._asked = self._ask is None
        self._turn = asyncio.Lock()

    @property
    def renewable(self) -> bool:
        """Whether there may be another token."""
        return self._ask is not None

    async def get(self) -> str | None:
        """Return the token; None: there is none."""
        if not self._asked:
            async with self._turn:
                if not self._asked:
                    await self._renew()
        return self._token

    async def renew(self, refused: str | None) -> None:
        """Ask for another token.

        Args:
            refused: the token that is no longer good. When another one is there already, it is kept: all
                subscriptions of a client end at the same time as their token.
        """
        async with self._turn:
            if self._token == refused:
                await self._renew()

    async def _renew(self) -> None:
        assert self._ask is not None
        given = self._ask()
        self._token = await given if inspect.isawaitable(given) else given
        self._asked = True


def token_headers(token: str | None) -> dict[str, str]:
    """Return the headers that carry a token (RFC 6750, section 2.1); none without one."""
    return {"Authorization": f"Bearer {token}"} if token else {}
