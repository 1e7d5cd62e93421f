"""From what a credential gives to who a client is."""

from __future__ import annotations

import pytest

from relay.auth.authenticator import UserError
from relay.auth.grant import MAX_INFO_BYTES, Grant, InfoError
from relay.auth.rights import RightsError


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
    ],
)
def test_what_no_client_can_have_is_refused(grant: Grant, error: type[Exception]) -> None:
    with pytest.raises(error):
        grant.identity({})
