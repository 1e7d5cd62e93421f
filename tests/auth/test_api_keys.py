"""Finding the key in a request, and whose it is."""

from __future__ import annotations

import pytest

from relay.auth.api_keys import ApiKeyAuthenticator, find_key
from relay.auth.authenticator import ANONYMOUS, Identity


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"X-API-Key": "k"}, "k"),
        ({"Authorization": "apikey k"}, "k"),
        ({"Authorization": "APIKEY   k "}, "k"),
        ({"X-API-Key": "k", "Authorization": "apikey other"}, "k"),
        ({"Authorization": "Basic k"}, ""),
        ({"Authorization": "apikey"}, ""),
        ({}, ""),
    ],
)
def test_a_key_is_found_where_it_may_be(headers: dict[str, str], key: str) -> None:
    assert find_key(headers) == key


def test_any_of_the_keys_is_valid_and_nothing_else() -> None:
    keys = ["first-key-of-many", "second-key-of-many"]
    authenticator = ApiKeyAuthenticator(keys)
    assert authenticator.identify({"X-API-Key": keys[0]}) is ANONYMOUS
    assert authenticator.identify({"X-API-Key": keys[1]}) is ANONYMOUS
    assert authenticator.identify({"Authorization": f"apikey {keys[1]}"}) is ANONYMOUS
    for wrong in ("", keys[0] + keys[1], "\udcff"):
        assert authenticator.identify({"X-API-Key": wrong}) is None
    assert authenticator.identify({}) is None
    assert ApiKeyAuthenticator([]).identify({"X-API-Key": "anything"}) is None


def test_a_back_end_is_who_it_is_said_to_be() -> None:
    shop = Identity("shop")
    assert ApiKeyAuthenticator(["a-key-of-the-shop"], shop).identify({"X-API-Key": "a-key-of-the-shop"}) is shop
