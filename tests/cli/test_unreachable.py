"""What a gateway's answer means, in words."""

from __future__ import annotations

import pytest

from relay.cli.unreachable import answered


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "no relay at this address"),
        (404, "no relay at this address"),
        (421, "its RELAY_ALLOWED_HOSTS doesn't have the name"),
        (426, "a proxy on the way"),
        (429, "this address or user has reached a limit; the gateway's log says which"),
        (503, "it is full, is shutting down, or can't reach its bus; ask `relay health`"),
    ],
)
def test_a_status_is_explained(status: int, words: str) -> None:
    """A number alone says nothing to the user of the command."""
    assert answered(status).startswith(f"answered HTTP {status}: ")
    assert words in answered(status)


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        (401, None, "it wants a key or a token, with RELAY_TOKEN or --token"),
        (401, "abc", "it doesn't accept this key or token; `relay token --check` may know why"),
        (403, None, "not every client may listen to this channel; put a key or token into RELAY_TOKEN"),
        (403, "abc", "this key or token gives no right to listen to the channel"),
    ],
)
def test_a_refusal_is_explained_by_what_the_client_came_with(status: int, token: str | None, words: str) -> None:
    assert answered(status, token) == f"answered HTTP {status}: {words}"
