"""The documents of this version below `/docs/`, for those who see the playground: Markdown, served as text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from aiohttp import web

from relay.web.app_keys import SETTINGS
from relay.web.asset import Asset

PREFIX = "/docs/"

_CHECKOUT = Path(__file__).parents[2]


def add_routes(app: web.Application) -> None:
    """Serve the documents, unless the settings switch the playground off."""
    if app[SETTINGS].demo == "off":
        return

    async def file(request: web.Request) -> web.Response:
        """Answer with a document."""
        return _document(request.path.removeprefix(PREFIX)).answer(request, {})

    for name in _files():
        app.router.add_get(PREFIX + name, file)


@cache
def titles() -> dict[str, str]:
    """Return the title of each document, by the name of its file."""
    return {name: _title(file) for name, file in _files().items()}


@cache
def _document(name: str) -> Asset:
    """Return a document, by the name of its file: most are never asked for."""
    return Asset(name, _files()[name].read_bytes())


@cache
def _files() -> dict[str, Traversable]:
    """Return the documents, by name: in a wheel they are in the package, in a checkout beside it."""
    found = [folder / "docs" for folder in (files("relay"), _CHECKOUT) if (folder / "docs").is_dir()]
    return {
        file.name: file for folder in found for file in sorted(folder.iterdir(), key=str) if file.name.endswith(".md")
    }


def _title(file: Traversable) -> str:
    with file.open(encoding="utf-8") as lines:
        return lines.readline().removeprefix("# ").strip()
