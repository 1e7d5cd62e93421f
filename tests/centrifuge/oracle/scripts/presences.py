"""Who is on a channel, and who comes and goes."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import (
    Hear,
    Leave,
    Script,
    Token,
    ask,
    connect,
    presence,
    presence_stats,
    script,
    subscribe,
    token,
    unsubscribe,
)

TOLD: Final = "told:~"

SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "presence of oneself",
        ask("a", connect(), subscribe("open:~")),
        ask("a", presence("open:~"), presence_stats("open:~")),
    ),
    script(
        "presence of two users, and of two clients of one",
        ask("a", connect(), subscribe("open:~")),
        ask("b", connect(), subscribe("open:~")),
        ask("c", connect(token("7~", info={"name": "Cid"})), subscribe("open:~")),
        ask("a", presence("open:~"), presence_stats("open:~")),
    ),
    script(
        "presence with info of the subscription",
        ask(
            "a",
            connect(token(info={"name": "Ann"})),
            subscribe("open:~", token=Token({"sub": "42~", "channel": "open:~", "info": {"seat": 1}})),
        ),
        ask("a", presence("open:~")),
    ),
    script("presence of nobody", ask("a", connect()), ask("a", presence("open:~"), presence_stats("open:~"))),
    script(
        "presence after unsubscribe",
        ask("a", connect(), subscribe("open:~")),
        ask("a", unsubscribe("open:~"), presence("open:~"), presence_stats("open:~")),
    ),
    script(
        "presence where there is none",
        ask("a", connect(), subscribe("kept:~")),
        ask("a", presence("kept:~"), presence_stats("kept:~")),
    ),
    script(
        "presence where it isn't allowed",
        ask("a", connect(), subscribe("listen:~")),
        ask("a", presence("listen:~"), presence_stats("listen:~")),
    ),
    script(
        "presence of a namespace that isn't there",
        ask("a", connect()),
        ask("a", presence("nowhere:~"), presence_stats("nowhere:~")),
    ),
    script(
        "presence for subscribers only, from outside",
        ask("a", connect()),
        ask("a", presence("subscribers:~"), presence_stats("subscribers:~")),
    ),
    script(
        "presence for subscribers only, from a subscriber",
        ask("a", connect(), subscribe("subscribers:~")),
        ask("a", presence("subscribers:~"), presence_stats("subscribers:~")),
    ),
    script("a client hears of its own coming", ask("a", connect(), subscribe(TOLD, join_leave=True), pushes=1)),
    script(
        "a client hears who comes and who unsubscribes",
        ask("a", connect(), subscribe(TOLD, join_leave=True), pushes=1),
        ask("b", connect(token("7~", info={"name": "Bea"})), subscribe(TOLD, join_leave=True), pushes=1),
        Hear("a", pushes=1),
        ask("b", unsubscribe(TOLD)),
        Hear("a", pushes=1),
    ),
    script(
        "a client hears who leaves by closing",
        ask("a", connect(), subscribe(TOLD, join_leave=True), pushes=1),
        ask("b", connect(token("7~")), subscribe(TOLD, join_leave=True), pushes=1),
        Hear("a", pushes=1),
        Leave("b"),
        Hear("a", pushes=1),
    ),
    script(
        "a second client of one user comes",
        ask("a", connect(), subscribe(TOLD, join_leave=True), pushes=1),
        ask("b", connect(), subscribe(TOLD, join_leave=True)),
    ),
    script(
        "a client hears nothing of its own going",
        ask("a", connect(), subscribe(TOLD, join_leave=True), pushes=1),
        ask("a", unsubscribe(TOLD)),
    ),
    script("who doesn't ask where the server forces it", ask("a", connect(), subscribe(TOLD), pushes=1)),
    script(
        "who asks for it hears who comes",
        ask("a", connect(), subscribe("asked:~", join_leave=True), pushes=1),
        ask("b", connect(token("7~")), subscribe("asked:~")),
        Hear("a", pushes=1),
    ),
    script(
        "who doesn't ask hears nothing",
        ask("a", connect(), subscribe("asked:~")),
        ask("b", connect(), subscribe("asked:~")),
    ),
    script(
        "who asks where it isn't allowed hears nothing",
        ask("a", connect(), subscribe("open:~", join_leave=True)),
        ask("b", connect(), subscribe("open:~")),
    ),
)
