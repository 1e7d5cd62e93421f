"""What a client is given when it connects."""

from __future__ import annotations

import pytest

from relay.auth.authenticator import Identity, check_publish, check_subscribe
from relay.auth.given_json import MAX_INFO_BYTES
from relay.auth.rights import PatternRights, compile_patterns
from relay.auth.server_side import (
    MAX_SERVER_SIDE_BYTES,
    MAX_SUBSCRIPTIONS,
    ServerSide,
    ServerSideError,
    check_server_side,
)
from relay.errors import NotAllowed
from relay.protocols.multiplexed import ServerSubscription

NOTHING = ServerSubscription()


def test_what_can_be_given() -> None:
    check_server_side(ServerSide())
    subscriptions = {f"chat:{number}": NOTHING for number in range(MAX_SUBSCRIPTIONS - 1)}
    info = b'"' + b"x" * (MAX_INFO_BYTES - 2) + b'"'
    check_server_side(ServerSide({**subscriptions, "\u20ac": ServerSubscription(info, b"[]")}, b"1", b' {"a": 1}'))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (ServerSide({str(number): NOTHING for number in range(MAX_SUBSCRIPTIONS + 1)}), "subscriptions: only 128"),
        (ServerSide({"": NOTHING}), "the subscription to '': must have 1 to 255 bytes"),
        (ServerSide({"a b": NOTHING}), "the subscription to 'a b': must not contain white space"),
        (ServerSide({" control": NOTHING}), "must not contain white space"),
        (ServerSide({"a\u202eb": NOTHING}), "must not contain control characters"),
        (ServerSide({"a": ServerSubscription(info=b"{")}), "info of a: must be JSON in UTF-8"),
        (ServerSide({"a": ServerSubscription(info=b"1" * (MAX_INFO_BYTES + 1))}), "info of a: must have at most"),
        (ServerSide({"a": ServerSubscription(data=b"\xff")}), "data of a: must be JSON in UTF-8"),
        (ServerSide(data=b""), "data: must be JSON in UTF-8"),
        (ServerSide(data=b"[" * 4000), "data: must be JSON in UTF-8"),
        (ServerSide(meta=b"[1]"), "meta: must be an object"),
        (ServerSide(meta=b"null"), "meta: must be an object"),
        (ServerSide(data=b"1" * (MAX_SERVER_SIDE_BYTES + 1)), "data: all of it, meta included, must have at most"),
        (
            ServerSide({str(number): ServerSubscription(info=b"1" * MAX_INFO_BYTES) for number in range(5)}),
            "data: all of it",
        ),
    ],
)
def test_what_can_not_be_given_is_named(given: ServerSide, words: str) -> None:
    with pytest.raises(ServerSideError) as refused:
        check_server_side(given)
    assert words in str(refused.value)


def test_a_channel_to_which_the_server_subscribes_may_be_heard_and_no_more() -> None:
    none = PatternRights(compile_patterns({}), "ann")
    identity = Identity("ann", none, server_side=ServerSide({"a": NOTHING}))
    check_subscribe(identity, "a")
    for refused, channel in ((check_subscribe, "b"), (check_publish, "a")):
        with pytest.raises(NotAllowed):
            refused(identity, channel)
    with pytest.raises(NotAllowed):
        check_subscribe(Identity("ann", none), "a")


def test_clients_without_any_cost_a_pointer_more() -> None:
    """Ten thousand of them have none."""
    fields = len(Identity.__struct_fields__)
    assert Identity("ann").__sizeof__() <= 8 * fields + 32
    assert Identity("ann").server_side is None
