"""The playground as its visitors use it: what a test does and sees on the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from tests.harness.browser import Browser, View

WITHIN_MS = 60_000
"""Patience with a browser on a busy machine."""

KEY = "'relay-playground-name'"
"""Under which the browser keeps the name, as a script says it."""

expect.set_options(timeout=WITHIN_MS)


class Client:
    """One panel of the page.

    Args:
        page: of the browser.
        number: 1 or 2.
    """

    def __init__(self, page: Page, number: int = 1) -> None:
        self.page = page
        self.root = page.get_by_role("region", name=re.compile(f"^Client {number} in "))
        self.channel = self.root.get_by_label("Channel")
        self.name = self.root.get_by_label("Your name")
        self.text = self.root.get_by_label("Message", exact=True)
        self.note = self.part("note")
        self.channel_note = self.part("channelNote")
        self.token_note = self.part("tokenNote")
        self.status = self.root.get_by_role("status")
        self.chart = self.root.get_by_role("img", name="Round trips")
        self.entries = self.root.get_by_role("log").get_by_role("listitem")

    def part(self, name: str) -> Locator:
        """Return a part of this panel by the name that the page's scripts have for it."""
        return self.root.locator(f"[data-part={name}]")

    def speak(self, protocol: str) -> None:
        """Choose a protocol, and wait until the client is back."""
        self.root.get_by_label("Protocol").select_option(protocol)
        self.is_open()

    def button(self, name: str) -> Locator:
        """Return a button of this panel."""
        return self.root.get_by_role("button", name=name, exact=True)

    def say(self, text: str) -> None:
        """Send a message as a person does."""
        self.text.fill(text)
        self.text.press("Enter")

    def sees(self, *parts: str) -> Locator:
        """Wait for an entry that contains some texts, and return it."""
        entry = self.entries
        for part in parts:
            entry = entry.filter(has_text=part)
        entry.first.wait_for(timeout=WITHIN_MS)
        return entry.first

    def is_open(self, state: str = "Open") -> None:
        """Wait until the connection is open, or in another state."""
        self.status.filter(has_text=state).wait_for(timeout=WITHIN_MS)

    def send_files(self, *files: tuple[str, bytes]) -> None:
        """Choose files: name and content."""
        chosen = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
        self.root.locator("input[type=file]").set_input_files(chosen)  # type: ignore[arg-type]  # a list of such is right

    def save(self, entry: Locator) -> tuple[str, bytes]:
        """Click on "Save", and return the name and the content of the saved file."""
        with self.page.expect_download() as saving:
            entry.get_by_role("link", name="Save").click()
        return saving.value.suggested_filename, saving.value.path().read_bytes()


@contextmanager
def visit(
    browser: Browser,
    port: int,
    channel: str,
    *,
    name: str = "",
    width: int = 1100,
    height: int = 800,
    dark: bool = False,
    tls: bool = False,
) -> Iterator[tuple[Client, View]]:
    """Open the page of a gateway, and wait until its client is connected.

    Args:
        browser: to open it with.
        port: of 127.0.0.1.
        channel: to listen to.
        name: to write under; empty: the one that the page makes up.
        width: of the screen in pixels.
        height: of the screen in pixels.
        dark: whether the person prefers dark colours.
        tls: whether the port speaks TLS.
    """
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/#{quote(channel, safe='')}"
    remembered = f"localStorage.getItem({KEY}) ?? localStorage.setItem({KEY}, {json.dumps(name)})" if name else ""
    with browser.visiting(url, width=width, height=height, dark=dark, before=remembered) as view:
        client = Client(view.page)
        client.is_open()
        yield client, view
