"""A real browser without a window, which is kept from the network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import Page, sync_playwright

_PROGRAMS = (
    "chromium-headless-shell",  # made to run without a window, it takes a quarter of the processor time
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)

_OPTIONS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine; None without one."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


@dataclass(frozen=True)
class View:
    """A page as a person has it on the screen.

    Args:
        page: of the browser.
        requests: addresses that it asked for, its own first, and those of its WebSockets.
        complaints: what the browser wrote to its console, and errors of scripts.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """How wide the content is in pixels; more than the screen's width means that it must be moved sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


class Browser:
    """One browser process. A context manager; no event loop may run in its thread meanwhile.

    Args:
        program: path of a Chromium.
    """

    def __init__(self, program: str) -> None:
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(executable_path=program, args=list(_OPTIONS))
        except BaseException:
            self._playwright.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    @contextmanager
    def showing(self, file: Path, *, width: int = 1100, dark: bool = False, paper: bool = False) -> Iterator[View]:
        """Open a file.

        Args:
            file: a page.
            width: of the screen in pixels.
            dark: whether the person prefers dark colours.
            paper: whether it is shown as in print.
        """
        # Offline, a request that gets past the page's own rules fails, and is in the list all the same.
        with self._view(width, dark, offline=True) as view:
            view.page.emulate_media(media="print" if paper else "screen")
            view.page.goto(file.resolve().as_uri())
            yield view

    @contextmanager
    def visiting(
        self, url: str, *, width: int = 1100, height: int = 800, dark: bool = False, before: str = ""
    ) -> Iterator[View]:
        """Open a page of a server on this machine, as a person who was never there.

        Args:
            url: of the page; a certificate that nobody knows is accepted.
            width: of the screen in pixels.
            height: of the screen in pixels.
            dark: whether the person prefers dark colours.
            before: a script that runs before those of the page, each time that it is loaded.
        """
        permissions = ["clipboard-read", "clipboard-write"]
        with self._view(width, dark, height=height, permissions=permissions, ignore_https_errors=True) as view:
            if before:
                view.page.add_init_script(before)
            view.page.goto(url)
            yield view

    @contextmanager
    def _view(self, width: int, dark: bool, *, height: int = 800, **options: Any) -> Iterator[View]:
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", **options
        )
        view = View(context.new_page())
        view.page.on("request", lambda request: view.requests.append(request.url))
        view.page.on("websocket", lambda socket: view.requests.append(socket.url))
        view.page.on("console", lambda message: view.complaints.append(message.text))
        view.page.on("pageerror", lambda error: view.complaints.append(str(error)))
        try:
            yield view
        finally:
            context.close()
