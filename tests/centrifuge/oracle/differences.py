"""Where the relay answers differently from Centrifugo, on purpose. docs/centrifuge.md prints the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Difference:
    """One deliberate difference. Every script that is named has to show it.

    Args:
        reason: a sentence for the documentation.
        scripts: themes and names.
        path: pattern of the fields: `*` stands for anything.
    """

    reason: str
    scripts: tuple[str, ...]
    path: str


def _in(theme: str, *names: str) -> tuple[str, ...]:
    """Return the full names of scripts of a theme."""
    return tuple(f"{theme}/{name}" for name in names)


NO_NAMESPACE: Final = (
    "A namespace that isn't configured has the options of channels without one; it isn't an unknown channel (102)"
)

DIFFERENCES: Final[tuple[Difference, ...]] = (
    Difference(
        "A line with more than one command ends the connection: nothing of it takes effect",
        _in("framing", "two commands on one line"),
        "json.*",
    ),
    Difference(
        "Field names must have the same case as in the schema",
        _in("framing", "names of fields in capitals"),
        "json.*",
    ),
    Difference(
        "The reason of 1009 says how large a frame may be",
        _in("framing", "a frame larger than 64 KiB"),
        "*.closed.1",
    ),
    Difference(
        "Channel names may have letters of all alphabets, but no white space",
        _in("subscribing", "a name that isn't ASCII", "a name with white space"),
        "*.replies.0.*",
    ),
    Difference(
        "No channel name has more than 255 bytes, for any command",
        _in("publishing", "a name of 256 bytes") + _in("histories", "a name of 256 bytes"),
        "*.replies.0.*",
    ),
    Difference(
        NO_NAMESPACE,
        _in("subscribing", "a namespace that isn't there")
        + _in("publishing", "to a namespace that isn't there")
        + _in("histories", "of a namespace that isn't there")
        + _in("presences", "presence of a namespace that isn't there")
        + _in("subscription_tokens", "a token for a namespace that isn't there"),
        "*.replies.*",
    ),
    Difference(
        NO_NAMESPACE,
        _in("server_side", "channels of a namespace that isn't there", "subs of a namespace that isn't there"),
        "*.replies.0.*",
    ),
    Difference(
        NO_NAMESPACE,
        _in(
            "server_api",
            "publish to a namespace that isn't there",
            "broadcast",
            "subscribe a user to a namespace that isn't there",
            "batch",
        ),
        "*",
    ),
    Difference(
        "Rights don't depend on whether a user has a name",
        _in("connecting", "a token without a user is one of nobody")
        + _in("subscribing", "where nobody is subscribed a user of nobody may not")
        + _in("publishing", "info of a user without a name"),
        "*",
    ),
    Difference(
        "If the relay asks for no credentials, it doesn't read tokens",
        _in("connecting", "a token where the server knows no secret"),
        "*",
    ),
    Difference(
        "Tokens of channels with the old claim `client` are refused: `sub` says whose they are",
        _in("subscription_tokens", "a token with the claim client"),
        "*.replies.0.*",
    ),
    Difference(
        "Rights come first: a client without the right isn't told what a channel keeps (103, not 108)",
        _in(
            "histories",
            "where there is none",
            "where nothing is kept and nothing allowed",
            "of a channel without a namespace",
        )
        + _in("presences", "presence where there is none", "presence where it isn't allowed"),
        "*.error.*",
    ),
    Difference(
        "A channel with a history has positions and recovery for all, as with force_positioning and force_recovery",
        _in(
            "recovering",
            "positions for those alone who ask for them",
            "positioned where that is optional",
            "recover without recoverable where that is optional",
        ),
        "*.subscribe.*",
    ),
    Difference(
        "A position that doesn't exist yet is an error (112); in reverse it means the newest message, as with Redis",
        _in("histories", "since 9", "since 9 in reverse"),
        "*.replies.0.*",
    ),
    Difference(
        "A client that asks for an error instead of a lost position also gets it (112) from an empty cache",
        _in("cache", "an empty channel, or else an error"),
        "*.replies.0.*",
    ),
    Difference(
        "After a new subscription the next message goes whole to all, because each delta is computed once for all",
        _in(
            "delta", "recovered messages", "nothing recovered, then live", "a new subscriber gets a whole message first"
        ),
        "*.pub.*",
    ),
    Difference(
        "Missed messages come whole, because deltas would have to be computed for one client",
        _in("delta", "recovered messages"),
        "*.subscribe.publications.*",
    ),
    Difference(
        "Subscriptions by the server get whole messages",
        _in("server_side", "differences for a server-side subscription"),
        "*",
    ),
    Difference(
        "Users come and go, not their connections: the second one of a user isn't told",
        _in("presences", "a second client of one user comes"),
        "*",
    ),
    Difference(
        "The options of a namespace are those of all its subscribers: tokens don't override them",
        _in("subscription_tokens", "options of a token override the namespace")
        + _in("server_side", "subs that override options"),
        "*",
    ),
    Difference(
        "Rights say who may share a channel: a list of users in its name has no meaning",
        _in("personal", "a channel of two users"),
        "*.replies.0.*",
    ),
    Difference(
        "A JSON client doesn't get messages that aren't JSON, and stays connected: see no_json of a namespace",
        _in("publishing", "data that is no JSON, for a client that speaks JSON"),
        "*",
    ),
    Difference(
        "Errors of the server API say what is wrong",
        _in(
            "server_api",
            "publish without a channel",
            "publish without data",
            "presence where there is none",
            "history",
            "history where there is none",
        ),
        "*.error.message",
    ),
    Difference(
        "The server API refuses what it can't do completely, and then does nothing",
        _in(
            "server_api",
            "publish without keeping",
            "subscribe with a position",
            "subscribe one client that is another's",
            "disconnect with a code below 3000",
            "disconnect without a user",
            "refresh into the past",
            "rpc for a back end",
        )
        + _in("refreshing", "a subscription by the back end that ends"),
        "*",
    ),
    Difference(
        "A client is told of a subscription only when it begins or ends",
        _in(
            "server_api",
            "subscribe a user twice",
            "subscribe a user who is subscribed by itself",
            "unsubscribe a user who isn't subscribed",
        ),
        "*",
    ),
    Difference(
        "An expired subscription token is refused (109), and the SDK fetches another",
        _in("refreshing", "sub_refresh with an expired token"),
        "*.replies.0.*",
    ),
    Difference(
        "A new connection token changes neither the client's channels nor those of the server",
        _in("refreshing", "refresh with a token of other channels"),
        "*",
    ),
)
