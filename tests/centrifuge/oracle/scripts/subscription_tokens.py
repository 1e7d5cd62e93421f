"""Tokens for one subscription."""

from __future__ import annotations

from typing import Any, Final

from tests.centrifuge.oracle.script import (
    ClientOf,
    Closed,
    Script,
    Token,
    ask,
    connect,
    presence,
    script,
    subscribe,
)


def _token(channel: str = "closed:~", forged: bool = False, **claims: Any) -> Token:
    return Token({"sub": "42~", "channel": channel, **claims}, forged)


SCRIPTS: Final[tuple[Script, ...]] = (
    script("a token opens a closed channel", ask("a", connect()), ask("a", subscribe("closed:~", token=_token()))),
    script("a token that will expire", ask("a", connect()), ask("a", subscribe("closed:~", token=_token(exp=3600)))),
    script(
        "a token with expire_at zero",
        ask("a", connect()),
        ask("a", subscribe("closed:~", token=_token(exp=3600, expire_at=0))),
    ),
    script("an expired token", ask("a", connect()), ask("a", subscribe("closed:~", token=_token(exp=-3600)))),
    script("a forged token", ask("a", connect()), ask("a", subscribe("closed:~", token=_token(forged=True)))),
    script("what is no token", ask("a", connect()), ask("a", subscribe("closed:~", token="nothing"))),
    script(
        "a token for another channel",
        ask("a", connect()),
        ask("a", subscribe("closed:~", token=_token("closed:other~")), replies=0),
        Closed("a"),
    ),
    script(
        "a token for another user",
        ask("a", connect()),
        ask("a", subscribe("closed:~", token=_token(sub="7~")), replies=0),
        Closed("a"),
    ),
    script(
        "a token without a user for a user",
        ask("a", connect()),
        ask("a", subscribe("closed:~", token=Token({"channel": "closed:~"})), replies=0),
        Closed("a"),
    ),
    script(
        "a token without a user for nobody",
        ask("a", connect(Token({"sub": ""}))),
        ask("a", subscribe("closed:~", token=Token({"channel": "closed:~"}))),
    ),
    script(
        "a token without a channel",
        ask("a", connect()),
        ask("a", subscribe("closed:~", token=Token({"sub": "42~"}))),
    ),
    script(
        "a token of the connection for a subscription",
        ask("a", connect()),
        ask("a", subscribe("closed:~", token=Token({"sub": "42~"}))),
    ),
    script("a token of a subscription for the connection", ask("a", connect(_token())), Closed("a")),
    script(
        "info of a token is that of the channel",
        ask("a", connect()),
        ask("a", subscribe("open:~", token=_token("open:~", info={"seat": 3}))),
        ask("a", presence("open:~")),
    ),
    script(
        "options of a token override the namespace",
        ask("a", connect()),
        ask(
            "a",
            subscribe(
                "open:~",
                token=_token(
                    "open:~",
                    override={
                        "join_leave": {"value": True},
                        "force_push_join_leave": {"value": True},
                        "presence": {"value": False},
                    },
                ),
            ),
        ),
        ask("a", presence("open:~")),
    ),
    script(
        "a token lets in where all may subscribe",
        ask("a", connect()),
        ask("a", subscribe("open:~", token=_token("open:~"))),
    ),
    script(
        "a token for a namespace that isn't there",
        ask("a", connect()),
        ask("a", subscribe("nowhere:~", token=_token("nowhere:~"))),
    ),
    script(
        "a private channel with a token",
        ask("a", connect()),
        ask("a", subscribe("$closed:~", token=_token("$closed:~"))),
    ),
    script(
        "a token with the claim client",
        ask("a", connect()),
        ask("a", subscribe("closed:~", token=_token(client=ClientOf("a")))),
    ),
)
