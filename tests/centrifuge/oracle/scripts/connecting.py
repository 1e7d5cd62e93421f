"""How a client is let in, and how it isn't."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import Closed, Open, Script, Token, ask, connect, script, subscribe, token

SCRIPTS: Final[tuple[Script, ...]] = (
    script("a token of a user lets it in", ask("a", connect())),
    script(
        "a name, a version and data of the client change nothing",
        ask("a", connect(name="js", version="1.2.3", data={"locale": "de"})),
    ),
    script("unknown fields are ignored", ask("a", connect(flag=0, something={"new": [1]})), formats=("json",)),
    script("a token that will expire says so", ask("a", connect(token(exp=3600)))),
    script("a token without a user is one of nobody", ask("a", connect(token("")), subscribe("open:~"))),
    script("a token without the claim sub", ask("a", {"connect": {"token": Token({"info": {}})}})),
    script("an expired token is told, and the client closes", ask("a", connect(token(exp=-3600)))),
    script(
        "after an expired token no command is heard",
        ask("a", connect(token(exp=-3600))),
        ask("a", subscribe("open:~"), replies=0),
        Closed("a"),
        setup="hasty",
        slow=True,
    ),
    script("a forged token ends the connection", ask("a", connect(token(forged=True))), Closed("a")),
    script("what is no token ends the connection", ask("a", connect("nothing")), Closed("a")),
    script("an empty token where one is needed", ask("a", connect("")), Closed("a")),
    script("a token that isn't valid yet", ask("a", connect(token(nbf=3600)))),
    script("a token with expire_at in the future", ask("a", connect(token(expire_at=3600)))),
    script("a token with expire_at zero never expires", ask("a", connect(token(exp=3600, expire_at=0)))),
    script("a token with meta", ask("a", connect(token(meta={"team": 1})))),
    script("a token with a user that is a number", ask("a", connect(Token({"sub": 42}))), Closed("a")),
    script(
        "more connections than a user may have",
        *(ask(name, connect()) for name in "abc"),
        ask("d", connect(), replies=0),
        Closed("d"),
        setup="hasty",
    ),
    script("a second connect ends the connection", ask("a", connect()), ask("a", connect(), replies=0), Closed("a")),
    script("a second connect in the same frame", ask("a", connect(), connect(), replies=1), Closed("a")),
    script("a first command that isn't connect", ask("a", subscribe("open:~"), replies=0), Closed("a")),
    script(
        "a subscribe before connect in the same frame", ask("a", subscribe("open:~"), connect(), replies=0), Closed("a")
    ),
    script("a pong before connect", ask("a", {}), Closed("a")),
    script("a client that says nothing is closed", Open("a"), Closed("a"), setup="hasty", slow=True, formats=("json",)),
    script(
        "without a token everybody comes where that is allowed",
        ask("a", connect(""), subscribe("plain~")),
        setup="anonymous",
    ),
    script("connect without any field where everybody may come", ask("a", {"connect": {}}), setup="anonymous"),
    script("a token where the server knows no secret", ask("a", connect()), setup="anonymous"),
    script("data of a claim isn't for clients", ask("a", connect(token(data={"x": 1})))),
)
