"""How a kind of server is spoken to: where its channels are, and the frames around a payload."""

from __future__ import annotations

from msgspec import Struct


class Dialect(Struct, frozen=True, kw_only=True):
    """Templates of one kind of server. `{url}`, `{channel}`, `{client}`, `{run}` and `{payload}` are filled in.

    Args:
        url: of a channel's WebSocket.
        subscribe: text frames that each connection sends first.
        publish: text frame around a payload; "{payload}": the bare payload.
        ready: regular expression of the frame that says that a client is subscribed; None: the handshake says so.
        answers: pairs of a regular expression and the text frame that answers a frame which it matches.
        ignore: regular expressions of frames that carry no message and are expected.
        headers: request headers besides the usual ones.
    """

    url: str = "{url}/ws/{channel}"
    subscribe: tuple[str, ...] = ()
    publish: str = "{payload}"
    ready: str | None = None
    answers: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def fill(template: str, values: dict[str, str]) -> str:
    """Return a template with its placeholders filled in; all other braces stay, as JSON needs them."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template
