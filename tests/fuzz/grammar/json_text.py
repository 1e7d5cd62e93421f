"""JSON that is valid, with another value in one place or a few: what mutations of bytes hardly ever make."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any, Final

VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 7, 2**53, 2**64, -(2**63) - 1, 10**30, 0.5, 1e308, float("inf"), float("nan")),
    *("", "x", "ann", " ", "\u20ac", "\x00", "\u202e", "\ud800", "a\nb", "*", "{sub}", "rw", "0123456789abcdef" * 2),
    *("y" * 255, "y" * 256, "=" * 5000, [], ["x"], [None], [[[]]], {}, {"x": "rw"}, {"": None}, {"a": {"b": {}}}),
)


def vary(text: bytes, random: Random) -> bytes:
    """Return a JSON text with a few of its values replaced, removed, or under another name."""
    try:
        whole = [json.loads(text)]
    except (ValueError, RecursionError):
        return text
    for _ in range(random.choice((1, 1, 2, 3))):
        _change(random.choice(_containers(whole)), random)
    try:
        return json.dumps(whole[0], ensure_ascii=random.random() < 0.7).encode(errors="surrogatepass")
    except IndexError:
        return b""


def _containers(node: Any) -> list[Any]:
    """Return a list or an object, and all that are in it."""
    children = node.values() if isinstance(node, dict) else node
    return [node, *(found for child in children if isinstance(child, dict | list) for found in _containers(child))]


def _change(container: Any, random: Random) -> None:
    value = deepcopy(random.choice(VALUES))
    if isinstance(container, list):
        place = random.randrange(len(container) + 1)
        container[place : place + random.choice((0, 1))] = random.choice(([value], [value], []))
        return
    names = [*container, "other", "", "sub"]
    name = random.choice(names)
    if random.random() < 0.2:
        container.pop(name, None)
    elif random.random() < 0.1:
        container[random.choice(names)] = container.pop(name, value)
    else:
        container[name] = value
