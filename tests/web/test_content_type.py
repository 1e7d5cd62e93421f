"""Reading the Content-Type, whatever a client sends."""

from __future__ import annotations

import time

import pytest

from relay.errors import Refused
from relay.web.content_type import read_content_type
from tests.conftest import EmbeddedFactory
from tests.harness.server_api import publish


@pytest.mark.parametrize(
    ("value", "media_type", "charset"),
    [
        (None, "application/octet-stream", ""),
        ("text/plain", "text/plain", ""),
        ("Text/HTML ; Charset=UTF-8", "text/html", "utf-8"),
        ('text/plain;charset="utf-8"', "text/plain", "utf-8"),
        ('multipart/form-data; boundary="a;charset=b\\"c"; charset=d', "multipart/form-data", "d"),
        ("text/plain;", "text/plain", ""),
        ("text/plain;; ;charset=x;", "text/plain", "x"),
        ("application/vnd.api+json; v=1", "application/vnd.api+json", ""),
        ("text/plain; charset*=utf-8''x", "text/plain", ""),
    ],
)
def test_type_and_charset_are_found(value: str | None, media_type: str, charset: str) -> None:
    assert read_content_type(value) == (media_type, charset)


@pytest.mark.parametrize(
    "value",
    ["", "text", "text/", "/plain", "a/b/c", "a/b c", "a/b;c", "a/b;c=", 'a/b;c="', "a/b;(", "\udcff/b", "a/b;c=\xe9"],
)
def test_what_is_malformed_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="Content-Type is malformed"):
        read_content_type(value)


@pytest.mark.parametrize(
    "value",
    [
        "text/plain" + ";" * 8000,
        "text/plain; a=" + '"' * 8000,
        "text/plain; " + "a*0=b;" * 1300,
        "text/plain;" + "(" * 8000,
        'text/plain; a="' + "\\" * 8000,
        "text/plain;" + " " * 8000 + "x",
        "text/plain;" + "a" * 8000,
        "@;text*1*",
    ],
)
async def test_no_value_keeps_the_gateway_busy_or_is_a_fault_of_ours(
    embedded: EmbeddedFactory, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1)
    before = time.process_time()
    answer = await publish(gateway.port, "/publish/a", b"x", f"Content-Type: {value}")
    assert time.process_time() - before < 0.5, "others wait meanwhile"
    assert answer.status in (200, 415)
    assert not caplog.records
