"""Channels to which the clients of a user are subscribed without asking."""

from __future__ import annotations

import pytest

from relay.auth.authenticator import Identity, check_subscribe
from relay.auth.personal_channels import PersonalChannels, read_personal_channel
from relay.auth.rights import PatternRights, compile_patterns
from relay.auth.server_side import PLAIN_SUBSCRIPTION, ServerSide
from relay.protocols.multiplexed import ServerSubscription

PERSONAL = PersonalChannels(("#{sub}", "user:{sub}:{sub}"))
NOTHING = PatternRights(compile_patterns({}), None)


@pytest.mark.parametrize(
    ("user", "channels"),
    [
        ("ann", ["#ann", "user:ann:ann"]),
        ("{sub}", ["#{sub}", "user:{sub}:{sub}"]),
        ("*", ["#*", "user:*:*"]),
        (None, []),
        ("ann lee", []),
        ("x" * 250, ["#" + "x" * 250]),
    ],
)
def test_a_user_has_its_own_channels_where_its_name_makes_one(user: str | None, channels: list[str]) -> None:
    assert PERSONAL.of(user) == channels
    assert PersonalChannels().of(user) == []


def test_they_come_besides_what_a_token_gives() -> None:
    given = ServerSide({"news": PLAIN_SUBSCRIPTION, "#ann": ServerSubscription(b"1")}, b"2", b"{}")
    completed = PERSONAL.complete(Identity("ann", NOTHING, 7.0, b"3", given))
    own = {"#ann": ServerSubscription(b"1"), "user:ann:ann": PLAIN_SUBSCRIPTION, "news": PLAIN_SUBSCRIPTION}
    assert completed == Identity("ann", NOTHING, 7.0, b"3", ServerSide(own, b"2", b"{}"))
    check_subscribe(PERSONAL.complete(Identity("bob", NOTHING)), "#bob")


def test_an_identity_without_any_stays_what_it_is() -> None:
    for channels, identity in ((PERSONAL, Identity(None)), (PersonalChannels(), Identity("ann"))):
        assert channels.complete(identity) is identity


@pytest.mark.parametrize("pattern", ["user", "", "{sub", "a {sub}", "{sub}*", "{sub}{", "x" * 255 + "{sub}"])
def test_what_names_no_channel_of_a_user_is_refused(pattern: str) -> None:
    assert read_personal_channel("user:{sub}") == "user:{sub}"
    with pytest.raises(ValueError, match="not "):
        read_personal_channel(pattern)
