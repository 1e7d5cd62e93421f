"""A file that the gateway serves to browsers as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from aiohttp import web

HEADERS = {
    # Gateways of several versions may answer at one address: browsers must revalidate each file, and mostly get a 304.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of all responses about assets."""

# Not from the system's table, which may have any type for a script.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/plain",  # to be read: browsers would save Markdown
    ".svg": "image/svg+xml",
    ".ts": "text/plain",  # to be read in a browser, which runs none
}


@dataclass(frozen=True)
class Asset:
    """One file.

    Args:
        name: by its ending the media type is known.
        body: its content.
    """

    name: str
    body: bytes

    @cached_property
    def etag(self) -> str:
        """A tag that changes with the content."""
        return hashlib.sha256(self.body).hexdigest()[:32]

    def answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        """Return the file, or 304 when the browser has it already.

        Args:
            request: of the browser.
            headers: further ones of the response.
        """
        if any(known.value in (self.etag, "*") for known in request.if_none_match or ()):
            response = web.Response(status=304)
        else:
            content_type = _TYPES[self.name[self.name.rindex(".") :]]
            response = web.Response(body=self.body, content_type=content_type, charset="utf-8")
        response.etag = self.etag
        response.headers.update({**HEADERS, **headers})
        return response


def assets_of(folder: str) -> dict[str, Asset]:
    """Return the files of a folder beside this module, by name."""
    found = (files(__package__) / folder).iterdir()
    return {file.name: Asset(file.name, file.read_bytes()) for file in found}
