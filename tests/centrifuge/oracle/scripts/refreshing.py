"""Tokens that follow others."""

from __future__ import annotations

from typing import Any, Final

from tests.centrifuge.oracle.script import (
    Api,
    Closed,
    FromNow,
    Hear,
    Script,
    Token,
    ask,
    connect,
    script,
    subscribe,
    token,
)


def refresh(credential: Token | str) -> dict[str, Any]:
    """Return the command with another token for the connection."""
    return {"refresh": {"token": credential}}


def _sub_token(exp: int | None = 3600, channel: str = "closed:~", forged: bool = False, **claims: Any) -> Token:
    expiry = {} if exp is None else {"exp": exp}
    return Token({"sub": "42~", "channel": channel, **expiry, **claims}, forged)


def _sub_refresh(credential: Token | str, channel: str = "closed:~") -> dict[str, Any]:
    return {"sub_refresh": {"channel": channel, "token": credential}}


EXPIRING: Final = ask("a", connect(token(exp=3600)))
SUBSCRIBED: Final = (ask("a", connect()), ask("a", subscribe("closed:~", token=_sub_token())))

SCRIPTS: Final[tuple[Script, ...]] = (
    script("refresh", EXPIRING, ask("a", refresh(token(exp=7200)))),
    script("refresh with a token that never expires", EXPIRING, ask("a", refresh(token()))),
    script("refresh where the token never expires", ask("a", connect()), ask("a", refresh(token(exp=3600)))),
    script("refresh with an expired token", EXPIRING, ask("a", refresh(token(exp=-10)))),
    script(
        "refresh with a forged token", EXPIRING, ask("a", refresh(token(exp=3600, forged=True)), replies=0), Closed("a")
    ),
    script(
        "refresh with a token of another user",
        EXPIRING,
        ask("a", refresh(token("7~", exp=3600)), replies=0),
        Closed("a"),
    ),
    script("refresh without a token", EXPIRING, ask("a", refresh(""), replies=0), Closed("a")),
    script("refresh before connect", ask("a", refresh(token()), replies=0), Closed("a")),
    script("sub_refresh", *SUBSCRIBED, ask("a", _sub_refresh(_sub_token(7200)))),
    script("sub_refresh with a token that never expires", *SUBSCRIBED, ask("a", _sub_refresh(_sub_token(None)))),
    script("sub_refresh with an expired token", *SUBSCRIBED, ask("a", _sub_refresh(_sub_token(-10)))),
    script(
        "sub_refresh with a forged token",
        *SUBSCRIBED,
        ask("a", _sub_refresh(_sub_token(forged=True)), replies=0),
        Closed("a"),
    ),
    script(
        "sub_refresh with a token for another channel",
        *SUBSCRIBED,
        ask("a", _sub_refresh(_sub_token(channel="closed:other~")), replies=0),
        Closed("a"),
    ),
    script(
        "sub_refresh with a token of another user",
        *SUBSCRIBED,
        ask("a", _sub_refresh(_sub_token(sub="7~")), replies=0),
        Closed("a"),
    ),
    script("sub_refresh without a token", *SUBSCRIBED, ask("a", _sub_refresh(""))),
    script("sub_refresh where nothing is subscribed", ask("a", connect()), ask("a", _sub_refresh(_sub_token()))),
    script(
        "sub_refresh where the subscription never expires",
        ask("a", connect(), subscribe("open:~")),
        ask("a", _sub_refresh(_sub_token(channel="open:~"), "open:~")),
    ),
    script(
        "refresh with a token of other channels",
        ask("a", connect(token(exp=3600, channels=["open:1~"]))),
        ask("a", refresh(token(exp=3600, channels=["open:1~"]))),
        ask("a", refresh(token(exp=3600, channels=["open:2~"]))),
    ),
    script("a connection whose token expires", ask("a", connect(token(exp=3))), Closed("a"), setup="hasty", slow=True),
    script(
        "a subscription whose token expires",
        ask("a", connect(), subscribe("closed:~", token=_sub_token(3))),
        Hear("a", pushes=1),
        setup="hasty",
        slow=True,
    ),
    script(
        "a subscription by the back end that ends",
        ask("a", connect()),
        Api("subscribe", {"user": "42~", "channel": "open:~", "expire_at": FromNow(3600)}),
    ),
    script(
        "a token that is refreshed in time",
        ask("a", connect(token(exp=2))),
        ask("a", refresh(token(exp=3600))),
        Hear("a", pings=2),
        setup="pinging",
        slow=True,
    ),
)
