"""The playground on screens of all sizes: what is always in sight, what stays where it is, and what axe-core says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness.browser import Browser, View
from tests.harness.forked_process import ROOT
from tests.harness.gateway_process import GatewayProcess
from tests.web.demo_page import Client, visit
from tests.web.test_demo_access_in_browser import PHONE

Pair = list[GatewayProcess]

AXE = ROOT / ".venv-sdk" / "axe" / "node_modules" / "axe-core" / "axe.min.js"

SIZES = [(1366, 650), (1280, 720), (1280, 800), (390, 844), (PHONE, 640), (844, 390)]
"""Of screens, in pixels: laptops, and phones upright and on their side."""


def resized(page: Page) -> Iterator[tuple[int, int]]:
    """Give the page all sizes, one after the other."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        yield width, height


def outside(parts: list[Locator], width: int, height: int) -> list[str]:
    """Return those of some parts of which something is beyond the screen."""
    boxes = [(part, part.bounding_box()) for part in parts]
    return [
        f"{part}: {box}"
        for part, box in boxes
        if box is None
        or box["x"] < 0
        or box["y"] < 0
        or box["x"] + box["width"] > width
        or box["y"] + box["height"] > height
    ]


def open_second(view: View) -> Client:
    """Open the second client, and wait until it is connected."""
    view.page.get_by_role("button", name="Open a second client").click()
    second = Client(view.page, 2)
    second.is_open()
    return second


def test_the_composer_and_what_is_wrong_are_always_in_sight(browser: Browser, pair: Pair, channel: str) -> None:
    """Whatever the size, and however much is wrong: it is the log that gives way."""
    with visit(browser, pair[0].port, channel, height=650, width=1366) as (client, view):
        client.send_files(("large.bin", bytes(65_537)))
        expect(client.note).to_contain_text("large.bin has 65,537 bytes")
        client.channel.fill("two words")
        client.button("Join").click()
        expect(client.channel_note).to_contain_text("no white space")
        expect(client.channel).to_have_attribute("aria-invalid", "true")
        log = client.root.get_by_role("log")
        parts = [
            client.channel,
            client.channel_note,
            client.part("state"),
            client.note,
            client.text,
            client.button("Send"),
        ]
        for width, height in resized(view.page):
            seen = parts[1:] if height < 400 else [*parts, client.root.locator(".file")]
            assert outside(seen, width, height) == []
            assert outside([log], width, height) == []
            assert client.root.evaluate(_SQUEEZED) == []
            assert client.root.evaluate("panel => panel.scrollWidth - panel.clientWidth") == 0
            assert view.width == width
        view.page.set_viewport_size({"width": 1280, "height": 720})
        second = open_second(view)
        for panel in (client, second):
            assert (
                outside([panel.channel, panel.text, panel.button("Send"), panel.root.locator(".file")], 1280, 720) == []
            )


def test_nothing_moves_when_figures_change(browser: Browser, pair: Pair, channel: str) -> None:
    """Each has room for the longest that is likely, in one panel and in two, and on a phone."""
    with visit(browser, pair[0].port, channel, width=1366) as (client, view):
        for width in (1366, 1280, 390):
            view.page.set_viewport_size({"width": width, "height": 720})
            if width == 1280:
                open_second(view)
                view.page.evaluate("document.body.dataset.shown = '1'")
            for protocol in ("WebSocket", "events"):
                client.speak(protocol)
                moved = client.root.evaluate(_MOVED)
                assert moved == [], width


def test_nothing_moves_while_the_page_comes(browser: Browser, pair: Pair, channel: str) -> None:
    """Nor while it connects: a browser counts what does."""
    with browser.visiting(f"http://127.0.0.1:{pair[0].port}/#{channel}", width=1366, before=_COUNT_SHIFTS) as view:
        client = Client(view.page)
        client.is_open()
        client.say("hello")
        client.sees("hello", "back in")
        assert view.page.evaluate("window.shifts") == []


def test_a_remark_of_several_lines_stands_beside_its_time(browser: Browser, pair: Pair, channel: str) -> None:
    with visit(browser, pair[0].port, f"{channel}-{'long-' * 30}", width=390) as (client, _):
        entry = client.sees("Listening to")
        time, text = entry.locator("time").bounding_box(), entry.locator(".text").bounding_box()
        assert time is not None
        assert text is not None
        assert text["height"] > 2 * time["height"]
        assert text["x"] >= time["x"] + time["width"]


def test_on_a_phone_the_second_client_is_a_tab(browser: Browser, pair: Pair, channel: str) -> None:
    with visit(browser, pair[0].port, channel, name="Ada", width=390, height=844) as (one, view):
        tabs = view.page.get_by_role("navigation")
        two = Client(view.page, 2)
        tabs.get_by_role("button", name="Client 2").click()
        two.is_open()
        expect(one.root).to_have_count(0)  # hidden: nobody reaches it
        assert outside([two.text, two.button("Send")], 390, 844) == []
        two.say("hello")
        two.sees("hello", "back in")
        tabs.get_by_role("button", name="Client 1").click()
        one.sees("hello")
        expect(tabs.get_by_role("button", name="Client 1")).to_have_attribute("aria-pressed", "true")
        tabs.get_by_role("button", name="Connect").click()
        expect(view.page.get_by_role("button", name="Copy: Browser", exact=True)).to_be_visible()
        expect(view.page.get_by_text("It does not hear its own messages. With ?echo=1").first).to_be_visible()
        expect(view.page.get_by_text("It hears JSON alone: a bare hello")).to_be_visible()
        tabs.get_by_role("button", name="Client 2").click()
        two.button("Close").click()
        expect(one.root).to_be_visible()
        expect(tabs.get_by_role("button", name="Client 2")).to_be_focused()
        assert view.complaints == []


@pytest.mark.skipif(not AXE.exists(), reason="axe-core isn't installed: make axe, with npm")
def test_axe_finds_nothing_serious(browser: Browser, pair: Pair, channel: str) -> None:
    """In light and dark, on a laptop and on a phone, with two clients and with what is wrong said."""
    with visit(browser, pair[0].port, channel, width=1366, height=650) as (client, view):
        client.say("hello")
        client.sees("hello", "back in")
        open_second(view).speak("Centrifuge")
        client.channel.fill("two words")
        client.button("Join").click()
        expect(client.channel_note).to_contain_text("no white space")
        view.page.evaluate(AXE.read_text())
        for width, parts in ((1366, ["1"]), (390, ["1", "2", "connect"])):
            view.page.set_viewport_size({"width": width, "height": 650})
            for part in parts:
                view.page.evaluate(f"document.querySelector('[data-shows=\"{part}\"]').click()")
                for scheme in ("light", "dark"):
                    view.page.emulate_media(color_scheme=scheme)
                    assert view.page.evaluate(_SERIOUS) == [], (width, part, scheme)


# Returns what is elsewhere once all figures are longer.
_MOVED = """(panel) => {
  const trip = { latency: "999 ms", median: ", median 999 ms", scale: "1.0 s" };
  const figures = { rate: "1,234 messages/s", position: "99,999", ...trip };
  const boxes = () => new Map([...panel.querySelectorAll("*")].map((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return [element, [x, y, width, height].map(Math.round).join(" ")];
  }));
  const set = (name, text) => {
    const part = panel.querySelector(`[data-part=${name}]`);
    const before = part.textContent;
    part.textContent = text;
    return [name, before];
  };
  const own = new Set(Object.keys(figures));
  const before = boxes();
  Object.entries(figures).map(([name, text]) => set(name, text));
  const after = boxes();
  const moved = [...before].filter(([element, box]) => after.get(element) !== box && !own.has(element.dataset.part));
  return moved.map(([element, box]) => `${element.outerHTML.slice(0, 120)}: ${box} -> ${after.get(element)}`);
}"""

_COUNT_SHIFTS = """
window.shifts = [];
const seen = (entry) => window.shifts.push(`${entry.value}: ${entry.sources.map(({ node }) => node?.nodeName)}`);
new PerformanceObserver((list) => list.getEntries().forEach(seen)).observe({ type: "layout-shift", buffered: true });
"""

_SQUEEZED = """(panel) => [...panel.children].filter((part) => part.scrollHeight > part.clientHeight + 1)
  .map(({ className }) => className)"""

_SERIOUS = """async () => {
  const { violations } = await axe.run();
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) =>
    `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" ")}`);
}"""
