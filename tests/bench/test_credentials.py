"""The measure of what tokens cost: its tokens, and its table."""

from __future__ import annotations

import re

from pydantic import SecretStr

from bench.credentials import MOST_MICROSECONDS, bare_verify, make_modes, table
from bench.reading import Reading
from bench.tally import Tally
from relay.auth.authenticator import Identity
from relay.authenticators import make_authenticator
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings


def reading(value: float) -> Reading:
    """Return an undisturbed reading."""
    return Reading(value, Tally(), 0.5, 0.9, 0.0, 0.0, 0.0, 0.0)


def test_each_client_has_a_token_of_its_own_that_is_accepted() -> None:
    none, *others = make_modes(3)
    assert none.headers == [b""]
    for mode in others:
        assert len(set(mode.headers)) == 3
        given = {name.removeprefix("RELAY_").lower(): value for name, value in mode.settings.items()}
        secret = given.pop("jwt_secret", None)
        settings = Settings(jwt_secret=None if secret is None else SecretStr(secret), **given)  # type: ignore[arg-type]
        authenticator = make_authenticator(settings, Counters())
        for number, header in enumerate(mode.headers):
            name, _, value = header.decode().strip().partition(": ")
            identity = authenticator.identify(ConnectRequest("/ws/idle", {}, {name: value}, ""))
            assert isinstance(identity, Identity)
            assert identity.user == f"user-{number:06}"
            assert identity.rights.may_subscribe("handshakes")


def test_the_library_alone_verifies_what_the_gateway_accepts() -> None:
    for mode in make_modes(3)[1:]:
        assert mode.verify is not None
        assert bare_verify(mode.verify, mode.headers) > 0
        claims, _, signature = mode.headers[0].rpartition(b".")
        assert not mode.verify(claims + b"." + signature.swapcase())


def test_the_table_compares_with_no_tokens() -> None:
    modes = make_modes(1)
    for mode, rate, cost, memory in zip(modes, (1000, 900, 700), (100, 110, 140), (2600, 2900, 2950), strict=True):
        mode.rates, mode.costs, mode.memory = [reading(rate)], [reading(cost)], [float(memory)]
    for mode, bare in zip(modes[1:], (4.0, 30.0), strict=True):
        mode.bare = [bare, bare, 1000.0]
    made = table(modes, "a machine")
    cells = [list(column.cells) for column in made.columns]
    assert cells[0] == ["none", "HS256", "ES256"]
    assert cells[2] == ["100%", "90%", "70%"]
    assert cells[4:8] == [
        ["", "10.0 µs", "40.0 µs"],
        ["", "4.0 µs", "30.0 µs"],
        ["", "6.0 µs", "10.0 µs"],
        ["", f"{MOST_MICROSECONDS:.0f} µs", f"{MOST_MICROSECONDS:.0f} µs"],
    ]
    assert cells[-2:] == [["+0", "+300", "+350"], ["", "400", "400"]]
    assert all(re.fullmatch(r"[\d,]+", str(cell)) for cell in cells[1])
