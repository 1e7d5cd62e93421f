"""Identities of clients, by the name in their request."""

from __future__ import annotations

import pytest

from relay.auth.authenticator import ANONYMOUS, Identity
from relay.authenticators.none import NameInQuery, make_authenticator
from relay.errors import Refused
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions
from relay.protocols.request import ConnectRequest, parse_request
from relay.settings import Settings


def asking(query: dict[str, str]) -> ConnectRequest:
    """Return a request with a query."""
    return ConnectRequest("/ws/lobby", query, {}, "127.0.0.1")


def test_the_rights_of_a_namespace_are_those_of_all_clients() -> None:
    """As an entry of RELAY_RIGHTS: what no pattern matches is allowed no more."""
    settings = Settings(namespaces={"news": ChannelOptions(rights="r")})
    identity = make_authenticator(settings, Counters()).identify(asking({}))
    assert isinstance(identity, Identity)
    may = [(identity.rights.may_subscribe(name), identity.rights.may_publish(name)) for name in ("news:1", "lobby")]
    assert may == [(True, False), (False, False)]


def test_a_client_without_a_name_is_anonymous() -> None:
    assert NameInQuery().identify(asking({})) is ANONYMOUS
    assert ANONYMOUS.user is None


@pytest.mark.parametrize("user", ["bob", "Bob Dylan", "日本", "x" * 255, "👩\u200d💻"])
def test_a_name(user: str) -> None:
    assert NameInQuery().identify(asking({"user": user})) == Identity(user)


@pytest.mark.parametrize(
    "user",
    ["", " ", " bob", "bob ", "x" * 256, "ü" * 128, "a\nb", "a\x1b[31mb", "\x00", "an\u200bn", "\u202enna", "a\u2028b"],
)
def test_names_that_would_harm_logs_are_refused(user: str) -> None:
    with pytest.raises(Refused, match="user") as caught:
        NameInQuery().identify(asking({"user": user}))
    assert caught.value.status == 400


def test_a_request_target_is_read() -> None:
    request = parse_request("/ws/a%20b?user=b%C3%B6b&echo=0&echo=1&flag", {"Origin": "here"}, "::1")
    assert request.path == "/ws/a%20b"
    assert dict(request.query) == {"user": "böb", "echo": "1", "flag": ""}
    assert request.headers["Origin"] == "here"


@pytest.mark.parametrize("target", ["/?user=%ff", "/?" + "&".join(f"p{n}=1" for n in range(33)), "//[x/"])
def test_malformed_targets_are_refused(target: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_request(target, {}, "")
    assert caught.value.status == 400
