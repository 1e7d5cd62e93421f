"""From what a credential gives to who a client is."""

from __future__ import annotations

import pytest

from relay.auth.authenticator import Identity, UserError
from relay.auth.given_json import MAX_INFO_BYTES
from relay.auth.grant import Grant, InfoError, check_identity
from relay.auth.rights import RightsError
from relay.auth.server_side import ServerSide, ServerSideError
from relay.protocols.multiplexed import ServerSubscription


def test_a_grant_makes_an_identity() -> None:
    identity = Grant("ann", {"chat:*": "r"}, 12.5, b"{}").identity({"news": "r", "chat:1": "w"})
    assert (identity.user, identity.expires_at, identity.info) == ("ann", 12.5, b"{}")
    readable = [name for name in ("chat:2", "chat:1", "news", "other") if identity.rights.may_subscribe(name)]
    assert readable == ["chat:2", "news"]


def test_a_grant_without_rights_gives_those_of_all() -> None:
    rights = Grant().identity({"news": "r"}).rights
    assert (rights.may_subscribe("news"), rights.may_publish("news"), rights.may_subscribe("a")) == (True, False, False)


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        (Grant(""), UserError),
        (Grant("x" * 256), UserError),
        (Grant("a\u202eb"), UserError),
        (Grant(" ann"), UserError),
        (Grant(channels={"**": "r"}), RightsError),
        (Grant(info=b"1" * (MAX_INFO_BYTES + 1)), InfoError),
        (Grant(info=b'{"a":"\xff"}'), InfoError),
        (Grant(info=b"{"), InfoError),
        (Grant(info=b""), InfoError),
        (Grant(info=b"[" * 4000), InfoError),
        (Grant(server_side=ServerSide({"a b": ServerSubscription()})), ServerSideError),
    ],
)
def test_what_no_client_can_have_is_refused(grant: Grant, error: type[Exception]) -> None:
    with pytest.raises(error):
        grant.identity({})


def test_what_a_client_is_given_is_part_of_its_identity() -> None:
    given = ServerSide({"a": ServerSubscription(b"1", b"2")}, b"3", b"{}")
    assert Grant("ann", server_side=given).identity({}).server_side is given
    assert Grant("ann").identity({}).server_side is None


def test_an_identity_of_a_program_is_checked_as_well() -> None:
    check_identity(Identity("ann", server_side=ServerSide({"a": ServerSubscription()})))
    with pytest.raises(ServerSideError):
        check_identity(Identity("ann", server_side=ServerSide(meta=b"[]")))
