"""The users whom certificates name."""

from __future__ import annotations

from typing import Any

import pytest

from relay.auth.certificate_user import user_of_certificate


def certificate(*common_names: str, names: tuple[tuple[str, Any], ...] = ()) -> dict[str, Any]:
    """Return a certificate as `getpeercert` does."""
    subject = [(("organizationName", "relay"),), *((("commonName", name),) for name in common_names)]
    return {"subject": tuple(subject), "subjectAltName": names, "version": 3}


@pytest.mark.parametrize(
    ("shown", "user"),
    [
        (certificate("ann"), "ann"),
        (certificate("ann", names=(("DNS", "bob"),)), "ann"),
        (certificate("people", "ann"), "ann"),
        (certificate(names=(("DNS", "device-7.example"), ("DNS", "other"))), "device-7.example"),
        (certificate(names=(("email", "ann@example.com"),)), "ann@example.com"),
        (certificate(names=(("URI", "spiffe://example/sa/chat"),)), "spiffe://example/sa/chat"),
        (certificate(names=(("DirName", ((("commonName", "x"),),)), ("DNS", "ann"))), "ann"),
        (certificate("Анна"), "Анна"),
        (certificate(), None),
        (certificate(""), None),
        (certificate(" ann"), None),
        (certificate("an\u202en"), None),
        (certificate("a\nn"), None),
        (certificate("a" * 256), None),
        ({}, None),
    ],
)
def test_a_certificate_names_its_user(shown: dict[str, Any], user: str | None) -> None:
    assert user_of_certificate(shown) == user
