"""Rights by patterns of channel names, as tokens, keys, back ends and RELAY_RIGHTS give them.

A pattern is the name of a channel, or a beginning of names with a `*` behind it; `{sub}` in it stands for the name of
the user. The most specific pattern that fits a channel decides alone: a name before a beginning, a longer beginning
before a shorter one, and of two that are equally long that of the credential before that of RELAY_RIGHTS. What no
pattern fits is not allowed. Names are compared as they are: other case or look-alikes make other names.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from relay.channel import MAX_CHANNEL_BYTES, is_visible
from relay.errors import RelayError

MAX_PATTERNS: Final = 128
"""Of one credential, and of RELAY_RIGHTS: each is compared with the channel of every message of the client."""

COMPILED: Final = 256
"""Sets of patterns that are kept compiled, and shared by the clients that have the same. A client keeps its patterns as
text: compiled ones of its own would be 1,800 bytes, more than the rest of the client."""

Pairs = tuple[tuple[str, str], ...]
"""Patterns and their letters."""

USER: Final = "{sub}"

WHOLE_NAME: Final = MAX_CHANNEL_BYTES + 1
"""How specific a pattern is that is a channel's whole name: more than any that ends in `*`."""


class Right(enum.Enum):
    """What a client may do in a channel, and the letter for it."""

    SUBSCRIBE = "r"
    PUBLISH = "w"
    PRESENCE = "p"
    HISTORY = "h"

    __hash__ = object.__hash__  # Enum's own is Python: it is asked for with each message of a client


LETTERS: Final = "".join(right.value for right in Right)

ALL: Final = frozenset(Right)

NONE: Final[frozenset[Right]] = frozenset()


class RightsError(RelayError):
    """Rights can't be read.

    Args:
        pattern: of the channels.
        rule: what it, or its letters, should be.
    """

    def __init__(self, pattern: str, rule: str) -> None:
        super().__init__(pattern, rule)
        self.pattern = pattern
        self.rule = rule

    def __str__(self) -> str:
        return f"the pattern {self.pattern[:80]!r}: {self.rule}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern and what it allows.

    Args:
        text: the pattern without its `*`.
        open_ended: whether there was one.
        personal: whether `{sub}` stands in it.
        allowed: what the client may do in channels that fit.
    """

    text: str
    open_ended: bool
    personal: bool
    allowed: frozenset[Right]

    @property
    def pattern(self) -> str:
        """The pattern as it was written."""
        return f"{self.text}*" if self.open_ended else self.text

    def fits(self, channel: str, user: str | None) -> int:
        """Return how specific the pattern is for a channel: the larger number decides; -1: it doesn't fit.

        Args:
            channel: its name.
            user: the client's; None: it has none, and no pattern with `{sub}` fits.
        """
        text = self.text
        if self.personal:
            if user is None:
                return -1
            # What the name of a user holds is compared as it is: a `*` in it means nothing.
            text = text.replace(USER, user)
        if self.open_ended:
            return len(text) if channel.startswith(text) else -1
        return WHOLE_NAME if channel == text else -1


class Patterns:
    """Rules in the order in which they win when they are equally specific.

    Args:
        rules: as they are read.
        text: the patterns of a credential, to compile them again.
        defaults: those of RELAY_RIGHTS.

    Attributes:
        text: see above.
        defaults: see above.
    """

    __slots__ = ("_names", "_others", "defaults", "text")

    def __init__(self, rules: Iterable[Rule], text: str, defaults: Pairs) -> None:
        self.text = text
        self.defaults = defaults
        # Most lists are of whole names: these are looked up.
        self._names: dict[str, tuple[int, Rule]] = {}
        others = []
        for place, rule in enumerate(rules):
            if rule.open_ended or rule.personal:
                others.append((place, rule))
            else:
                self._names.setdefault(rule.text, (place, rule))
        self._others = tuple(others)

    def allowed(self, channel: str, user: str | None) -> frozenset[Right]:
        """Return what a client may do in a channel; arguments as for `Rule.fits`."""
        rule = self.deciding(channel, user)
        return NONE if rule is None else rule.allowed

    def deciding(self, channel: str, user: str | None) -> Rule | None:
        """Return the rule that decides about a channel; None: no rule fits. Arguments as for `Rule.fits`."""
        best, first, decides = -1, -1, None
        if (named := self._names.get(channel)) is not None:
            best, (first, decides) = WHOLE_NAME, named
        for place, rule in self._others:
            fit = rule.fits(channel, user)
            if fit > best or (fit == best >= 0 and place < first):
                best, first, decides = fit, place, rule
        return decides


class PatternRights:
    """The rights of one client by patterns; see `relay.auth.authenticator.Rights`.

    Args:
        patterns: of its credential.
        user: the client's name; None: it has none.
    """

    __slots__ = ("_allowed", "_channel", "_defaults", "_text", "_user")

    def __init__(self, patterns: Patterns, user: str | None) -> None:
        self._text = patterns.text
        self._defaults = patterns.defaults
        self._user = user
        # The last answer: most clients publish to one channel, and it is asked for each message.
        self._channel = ""
        self._allowed = NONE

    def may_subscribe(self, channel: str) -> bool:
        """Return whether the client may receive the messages of a channel."""
        return Right.SUBSCRIBE in self.allowed(channel)

    def may_publish(self, channel: str) -> bool:
        """Return whether the client may publish messages to a channel."""
        return Right.PUBLISH in self.allowed(channel)

    def may_read_history(self, channel: str) -> bool:
        """Return whether the client may ask for the newest messages of a channel without having been there."""
        return Right.HISTORY in self.allowed(channel)

    def may_see_presence(self, channel: str) -> bool:
        """Return whether the client may know who is subscribed to a channel."""
        return Right.PRESENCE in self.allowed(channel)

    def allowed(self, channel: str) -> frozenset[Right]:
        """Return all that the client may do in a channel."""
        if channel != self._channel:
            self._allowed = _of_text(self._text, self._defaults).allowed(channel, self._user)
            self._channel = channel
        return self._allowed


def compile_patterns(given: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> Patterns:
    """Return rights in the form in which they are asked.

    Args:
        given: patterns and their letters, of a credential. At most `MAX_PATTERNS`.
        defaults: those of RELAY_RIGHTS.

    Raises:
        RightsError: one of them can't be read, or there are too many.
    """
    return _compile(tuple(given.items()), tuple((defaults or {}).items()))


@lru_cache(COMPILED)
def _compile(given: Pairs, defaults: Pairs) -> Patterns:
    for items in (given, defaults):
        if len(items) > MAX_PATTERNS:
            raise RightsError(items[MAX_PATTERNS][0], f"only {MAX_PATTERNS} patterns are allowed")
    # Those of the credential first: its `user:{sub}` wins over the `user:ann` of the defaults.
    rules = [read_rule(pattern, letters) for pattern, letters in (*given, *defaults)]
    # No pattern has white space in it, and no letters a `=`.
    return Patterns(rules, " ".join(f"{pattern}={letters}" for pattern, letters in given), _shared(defaults))


@lru_cache(COMPILED)
def _of_text(text: str, defaults: Pairs) -> Patterns:
    """Return patterns that were compiled before, from what is kept of them."""
    return _compile(tuple((part.rpartition("=")[0], part.rpartition("=")[2]) for part in text.split()), defaults)


@lru_cache(maxsize=8)
def _shared(defaults: Pairs) -> Pairs:
    """Return the one tuple of all equal ones: each client holds it."""
    return defaults


def read_rule(pattern: str, letters: str) -> Rule:
    """Return one pattern and its letters as a rule.

    Raises:
        RightsError: a `*` stands elsewhere than at the end, `{sub}` right before it, a brace without being part of
            `{sub}`, white space or invisible characters anywhere, or the letters are others than r, w, p and h.
    """
    text = pattern.removesuffix("*")
    rest = text.replace(USER, "")
    if not pattern or len(pattern.encode(errors="replace")) > MAX_CHANNEL_BYTES:
        raise RightsError(pattern, f"must have 1 to {MAX_CHANNEL_BYTES} bytes of UTF-8")
    if "*" in text:
        raise RightsError(pattern, "* stands at the end only")
    if text != pattern and text.endswith(USER):
        # `user:{sub}*` would give ann the channels of anna.
        raise RightsError(pattern, f"a separator must stand between {USER} and *, as in user:{USER}:*")
    if "{" in rest or "}" in rest:
        raise RightsError(pattern, f"braces stand in {USER} only")
    if any(character.isspace() for character in pattern) or not is_visible(pattern):
        raise RightsError(pattern, "must not contain white space or invisible characters")
    return Rule(text, text != pattern, USER in text, read_letters(pattern, letters))


def read_letters(pattern: str, letters: str) -> frozenset[Right]:
    """Return what letters allow: r subscribe, w publish, p presence, h history; none: nothing.

    Raises:
        RightsError: there are others, or one of them twice.
    """
    if len(set(letters)) < len(letters) or set(letters) - set(LETTERS):
        raise RightsError(pattern, f"the rights must be some of {LETTERS}, each once, not {letters[:20]!r}")
    return _rights(letters)


@lru_cache(maxsize=64)
def _rights(letters: str) -> frozenset[Right]:
    """Return the one set of all equal ones: each client holds one, and a set takes 216 bytes."""
    return frozenset(map(Right, letters))
