"""What a script consists of: steps as data, which a player takes against any server of the protocol.

Every `~` in a string of a script becomes a word that no other play has: channels and users are of one play alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Command = dict[str, Any]
"""One command, without an id: the player numbers those that have none, except pongs and `send`."""

FormatName = Literal["json", "protobuf"]
BOTH: Final[tuple[FormatName, ...]] = ("json", "protobuf")


@dataclass(frozen=True)
class Token:
    """A token that the player signs when it comes to it.

    Args:
        claims: those of its payload. `exp` and `expire_at` are seconds from now.
        forged: whether it is signed with a secret that the server doesn't know.
    """

    claims: Mapping[str, Any]
    forged: bool = False


@dataclass(frozen=True)
class LastEpoch:
    """The epoch that the server gave last."""


@dataclass(frozen=True)
class FromNow:
    """A time, as seconds since 1970.

    Args:
        seconds: until then.
    """

    seconds: int


@dataclass(frozen=True)
class ClientOf:
    """The id that the server gave to a client of the script."""

    client: str


@dataclass(frozen=True)
class Ask:
    """A client sends commands in one frame, and hears the replies.

    Args:
        client: its name in the script; its first step opens its connection.
        commands: those of the frame.
        pushes: how many of them it hears, besides.
        replies: how many it hears; None: one for each command that has an id.
    """

    client: str
    commands: tuple[Command, ...]
    pushes: int = 0
    replies: int | None = None


@dataclass(frozen=True)
class Frame:
    """A client sends a frame as it stands.

    Args:
        client: its name.
        content: of a text frame, or of a binary one.
        replies: how many it hears.
    """

    client: str
    content: str | bytes
    replies: int = 0


@dataclass(frozen=True)
class Hear:
    """A client hears what it didn't ask for.

    Args:
        client: its name.
        pushes: how many.
        pings: how many since the last step.
    """

    client: str
    pushes: int = 0
    pings: int = 0


@dataclass(frozen=True)
class Closed:
    """The server closes a client's connection."""

    client: str


@dataclass(frozen=True)
class Leave:
    """A client closes its connection."""

    client: str


@dataclass(frozen=True)
class Open:
    """A client opens its connection, and says nothing yet.

    Args:
        client: its name.
        form: its format; None: that of the play.
        pongs: whether it answers pings.
    """

    client: str
    form: FormatName | None = None
    pongs: bool = True


@dataclass(frozen=True)
class Api:
    """A back end calls the server API.

    Args:
        method: its name, the last part of the path.
        params: the body.
    """

    method: str
    params: dict[str, Any]


Step = Ask | Frame | Hear | Closed | Leave | Open | Api


@dataclass(frozen=True)
class Script:
    """Steps with the name of the behaviour that they show.

    Args:
        name: of the behaviour, in words.
        steps: in their order.
        setup: of the server; see `setups.py`.
        formats: in which it is played.
        slow: whether it takes seconds.
    """

    name: str
    steps: tuple[Step, ...]
    setup: str = "tokens"
    formats: tuple[FormatName, ...] = field(default=BOTH)
    slow: bool = False


def script(name: str, *steps: Step, **options: Any) -> Script:
    """Return a script of these steps."""
    return Script(name, steps, **options)


def ask(client: str, *commands: Command, pushes: int = 0, replies: int | None = None) -> Ask:
    """Return the step in which a client sends commands in one frame."""
    return Ask(client, commands, pushes, replies)


def token(sub: str = "42~", forged: bool = False, **claims: Any) -> Token:
    """Return a token of a user."""
    return Token({"sub": sub, **claims}, forged)


def connect(credential: Token | str | None = None, **fields: Any) -> Command:
    """Return the command with which a client begins; without a token it has that of user 42."""
    return {"connect": {"token": token() if credential is None else credential, **fields}}


def subscribe(channel: str, **fields: Any) -> Command:
    """Return the command that subscribes a client."""
    return {"subscribe": {"channel": channel, **fields}}


def unsubscribe(channel: str) -> Command:
    """Return the command that ends a subscription."""
    return {"unsubscribe": {"channel": channel}}


def publish(channel: str, data: Any) -> Command:
    """Return the command that publishes a message."""
    return {"publish": {"channel": channel, "data": data}}


def history(channel: str, **fields: Any) -> Command:
    """Return the command that reads a history."""
    return {"history": {"channel": channel, **fields}}


def presence(channel: str) -> Command:
    """Return the command that asks who is on a channel."""
    return {"presence": {"channel": channel}}


def presence_stats(channel: str) -> Command:
    """Return the command that asks how many are on a channel."""
    return {"presence_stats": {"channel": channel}}
