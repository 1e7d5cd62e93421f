"""What the back end's answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay.auth.authenticator import Identity
from relay.auth.given_json import MAX_INFO_BYTES
from relay.auth.server_side import MAX_SERVER_SIDE_BYTES, PLAIN_SUBSCRIPTION, ServerSide
from relay.authenticators.http.answer import REFUSED, Decision, Refusal, read_answer, read_refusal
from relay.back_ends.answer_error import AnswerError
from relay.protocols.multiplexed import ServerSubscription

NOW = 1_000_000.0


def decision(answer: Any, defaults: dict[str, str] | None = None) -> Decision:
    """Return what an answer with status 200 means."""
    return read_answer(json.dumps(answer).encode(), NOW, defaults or {})


def identity(answer: Any, defaults: dict[str, str] | None = None) -> Identity:
    """Return whom an answer lets in."""
    found = decision(answer, defaults)
    assert isinstance(found, Identity)
    return found


def test_who_is_let_in() -> None:
    found = identity(
        {"user": "ann", "channels": {"chat:*": "rw", "user:{sub}": "r"}, "info": {"a": [1]}, "expires_at": NOW + 60}
    )
    assert (found.user, found.expires_at, found.info) == ("ann", NOW + 60, b'{"a": [1]}')
    assert found.rights.may_publish("chat:1")
    assert found.rights.may_subscribe("user:ann")
    assert not found.rights.may_publish("user:ann")
    assert not found.rights.may_subscribe("user:bob")


def test_all_of_it_is_optional() -> None:
    found = identity({}, {"news": "r"})
    assert (found.user, found.expires_at, found.info) == (None, None, None)
    assert found.rights.may_subscribe("news")
    assert not found.rights.may_subscribe("chat:1")
    assert identity({"user": None, "channels": None, "info": None, "expires_at": None, "ttl": None}).info is None


def test_the_end_may_be_given_in_seconds_from_now() -> None:
    assert identity({"ttl": 90}).expires_at == NOW + 90


@pytest.mark.parametrize("answer", [{"ttl": 0}, {"ttl": -5}, {"expires_at": NOW}, {"result": {"expire_at": NOW - 1}}])
def test_a_right_that_is_over_is_none(answer: Any) -> None:
    assert decision(answer) == Refusal(401, "your right has expired")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "Expected `object`"),
        ("ann", "Expected `object`"),
        (None, "Expected `object`"),
        (True, "Expected `object`"),
        ({"user": 7}, "$.user"),
        ({"user": ""}, "user must have 1 to 255 bytes"),
        ({"user": "a\u202eb"}, "user must not contain"),
        ({"user": "x" * 256}, "user must have 1 to 255 bytes"),
        ({"channels": ["chat:1"]}, "$.channels"),
        ({"channels": {"chat:1": ["r"]}}, "$.channels"),
        ({"channels": {"chat:1": "x"}}, "rights must be some of"),
        ({"channels": {"a*b": "r"}}, "* stands at the end only"),
        ({"channels": {str(n): "r" for n in range(129)}}, "only 128 patterns"),
        ({"info": "x" * MAX_INFO_BYTES}, "info: must have at most"),
        ({"expires_at": "2030-01-01"}, "$.expires_at"),
        ({"expires_at": NOW * 1_000_000}, "must be in seconds since 1970"),
        ({"expires_at": -1}, "must be in seconds since 1970"),
        ({"ttl": 1e300}, "must be in seconds since 1970"),
        ({"ttl": 5, "expires_at": NOW + 5}, "both expires_at and ttl"),
        ({"chanels": {"*": "rw"}}, "unknown field `chanels`"),
        ({"error": "no such token"}, "$.error"),
        ({"result": {}, "user": "ann"}, "other members beside result"),
        ({"result": {"channels": {"a": "r"}}}, "$.result.channels"),
        ({"result": {"channels": ["a b"]}}, "the subscription to 'a b': must not contain white space"),
        ({"result": {"subs": {"": {}}}}, "the subscription to ''"),
        ({"result": {"subs": ["a"]}}, "$.result.subs"),
        ({"result": {"b64info": "e30="}}, "unknown field `b64info`"),
        ({"result": {"meta": [1]}}, "meta: must be an object"),
        ({"subscriptions": {"a": {}}}, "$.subscriptions"),
        ({"subscriptions": [str(n) for n in range(129)]}, "subscriptions: only 128"),
        ({"subs": {"a": {}}}, "unknown field `subs`"),
        ({"data": "x" * MAX_SERVER_SIDE_BYTES}, "data: all of it"),
        ({"result": "ann"}, "$.result"),
    ],
)
def test_answers_that_can_not_be_used(answer: Any, words: str) -> None:
    """A client is let in with the rights that were meant, or not at all."""
    with pytest.raises(AnswerError) as caught:
        decision(answer)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        b"\xff\xfe",
        b'{"user": "\xff"}',
        b"{" * 60_000,
        b"[" * 60_000,
        b'{"info": ' + b"[" * 60_000,
    ],
)
def test_answers_that_are_no_json(body: bytes) -> None:
    with pytest.raises(AnswerError):
        read_answer(body, NOW, {})


def test_an_answer_of_centrifugos_connect_proxy() -> None:
    found = identity({"result": {"user": "56", "expire_at": NOW + 9, "info": {"name": "Ann"}}}, {"news": "r"})
    assert (found.user, found.expires_at, found.info) == ("56", NOW + 9, b'{"name": "Ann"}')
    assert found.rights.may_subscribe("news")
    anonymous = identity({"result": {"user": "", "expire_at": 0}})
    assert (anonymous.user, anonymous.expires_at) == (None, None)


def test_what_a_client_is_given_when_it_connects() -> None:
    """In the relay's own form, whose `channels` are rights, and in Centrifugo's."""
    own = identity({"channels": {"chat:*": "w"}, "subscriptions": ["news"], "data": [1], "meta": {"tenant": 7}})
    assert own.server_side == ServerSide({"news": PLAIN_SUBSCRIPTION}, b"[1]", b'{"tenant": 7}')
    assert not own.rights.may_subscribe("news")
    subs = {"chat:1": {"info": 1, "data": {"a": 2}, "override": {}}, "news": None}
    other = identity({"result": {"user": "ann", "channels": ["a"], "subs": subs, "data": None, "meta": {}}})
    assert other.server_side == ServerSide(
        {"a": PLAIN_SUBSCRIPTION, "chat:1": ServerSubscription(b"1", b'{"a": 2}'), "news": PLAIN_SUBSCRIPTION},
        None,
        b"{}",
    )
    assert identity({"subscriptions": [], "data": None, "meta": None}).server_side is None
    assert identity({"result": {"channels": None, "subs": {}}}).server_side is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"disconnect": {"code": 4501, "reason": "unauthorized"}}, "unauthorized"),
        ({"error": {"code": 1000, "message": "custom error"}}, "custom error"),
        ({"error": {}}, REFUSED),
        ({"result": {"user": "ann"}, "disconnect": {"code": 4501}}, REFUSED),
    ],
)
def test_a_refusal_of_centrifugos_connect_proxy(answer: Any, reason: str) -> None:
    """It comes with status 200, so it must not be taken for a client without name and rights."""
    assert decision(answer) == Refusal(403, reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"reason": "your account is closed"}', "your account is closed"),
        (b'{"reason": "' + b"x" * 300 + b'", "more": 1}', "x" * 200),
        (b"", REFUSED),
        (b"<html>", REFUSED),
        (b"{}", REFUSED),
        (b"[]", REFUSED),
        (b'{"reason": 1}', REFUSED),
        (b'{"reason": "a\\u0000b"}', REFUSED),
        (b'{"reason": "a\\r\\nSet-Cookie: x"}', REFUSED),
        (b'{"reason": "\xff"}', REFUSED),
        (b"[" * 60_000, REFUSED),
    ],
)
def test_a_refusal_may_have_a_sentence(body: bytes, reason: str) -> None:
    assert read_refusal(401, body) == Refusal(401, reason)
    assert read_refusal(403, body) == Refusal(403, reason)
