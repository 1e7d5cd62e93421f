"""The decisions that count for some seconds more."""

from __future__ import annotations

from relay.auth.authenticator import Identity
from relay.authenticators.http.answer import Refusal
from relay.authenticators.http.answer_cache import AnswerCache

ANN, BOB, NOBODY = Identity("ann"), Identity("bob"), Refusal(401)


class Clock:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_decision_counts_for_so_many_seconds() -> None:
    clock = Clock()
    cache = AnswerCache(10, clock)
    cache.keep(b"a", ANN)
    cache.keep(b"b", NOBODY)
    clock.now += 9.9
    assert cache.find(b"a") is ANN
    assert cache.find(b"b") is NOBODY
    assert cache.find(b"c") is None
    clock.now += 0.1
    assert cache.find(b"a") is None
    assert len(cache) == 1


def test_not_beyond_the_end_of_the_right() -> None:
    clock = Clock()
    cache = AnswerCache(10, clock)
    cache.keep(b"a", Identity("ann", expires_at=1003.0))
    clock.now = 1002.9
    assert cache.find(b"a") is not None
    clock.now = 1003.0
    assert cache.find(b"a") is None


def test_a_clock_that_is_set_back_does_not_make_it_count_for_ever() -> None:
    clock = Clock()
    cache = AnswerCache(10, clock)
    cache.keep(b"a", ANN)
    clock.now -= 3600
    assert cache.find(b"a") is None


def test_a_newer_decision_replaces_the_older_one() -> None:
    cache = AnswerCache(10, Clock())
    cache.keep(b"a", ANN)
    cache.keep(b"a", NOBODY)
    assert cache.find(b"a") is NOBODY
    assert len(cache) == 1


def test_of_too_many_those_go_that_were_asked_for_longest_ago() -> None:
    cache = AnswerCache(10, Clock(), most=2)
    cache.keep(b"a", ANN)
    cache.keep(b"b", BOB)
    assert cache.find(b"a") is ANN
    cache.keep(b"c", NOBODY)
    assert (cache.find(b"a"), cache.find(b"b"), cache.find(b"c")) == (ANN, None, NOBODY)
    assert len(cache) == 2
