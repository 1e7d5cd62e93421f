"""Finding the key in a request, and comparing it."""

from __future__ import annotations

import pytest

from relay.auth.api_keys import given_key, opens


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
    assert given_key(headers) == key


def test_any_of_the_keys_opens_and_nothing_else() -> None:
    keys = ["first-key-of-many", "second-key-of-many"]
    assert opens(keys[0], keys)
    assert opens(keys[1], keys)
    assert not opens("", keys)
    assert not opens(keys[0] + keys[1], keys)
    assert not opens("\udcff", keys)
    assert not opens("anything", [])
