"""The documents that a gateway serves."""

from __future__ import annotations

from aiohttp import ClientSession

from relay.web.documents import _document, titles
from tests.conftest import EmbeddedFactory
from tests.harness.forked_process import ROOT

FILES = {path.name: path.read_bytes() for path in (ROOT / "docs").glob("*.md")}


def test_each_has_its_title() -> None:
    assert titles().keys() == FILES.keys()
    assert titles()["channels.md"] == "Channels"
    assert all(titles().values())


async def test_they_are_served_as_text_and_no_other_file_is(embedded: EmbeddedFactory) -> None:
    """A browser shows them; it would save Markdown."""
    (gateway,) = await embedded(1)
    async with ClientSession(f"http://127.0.0.1:{gateway.port}") as session:
        for name, content in FILES.items():
            async with session.get(f"/docs/{name}") as response:
                assert response.status == 200
                assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
                assert await response.read() == content
        for name in ("", "scaling.svg", "examples", "../pyproject.toml", "%2e%2e/pyproject.toml"):
            async with session.get(f"/docs/{name}") as response:
                assert response.status == 404


def test_each_is_read_and_hashed_once() -> None:
    """A request of a browser that has it already takes no more than a look at its tag."""
    document = _document("channels.md")
    assert document is _document("channels.md")
    assert document.etag is document.etag


async def test_where_the_playground_is_off_they_are_not_there(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, demo="off")
    async with (
        ClientSession(f"http://127.0.0.1:{gateway.port}") as session,
        session.get("/docs/channels.md") as response,
    ):
        assert response.status == 404
