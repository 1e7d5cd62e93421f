"""Which WebSockets a real browser gets open: by what it offers, and by the page that asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.harness.browser import Browser
from tests.harness.gateway_process import GatewayProcess, end
from tests.web.demo_page import WITHIN_MS

ASK = """async ([url, offered]) => {
    const socket = new WebSocket(url, offered);
    return await new Promise((done) => {
        socket.onopen = () => done(["open", socket.protocol]);
        socket.onclose = ({ code }) => done(["closed", code]);
    });
}"""

Start = Callable[..., GatewayProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start gateways that end with the test."""
    started = []

    def start_gateway(**settings: str) -> GatewayProcess:
        gateway = GatewayProcess(**settings)
        started.append(gateway)
        gateway.start_blocking()
        return gateway

    yield start_gateway
    end(started)


def test_a_browser_that_offers_subprotocols_gets_one_or_is_refused(browser: Browser, start: Start) -> None:
    """Let in without an answer to them, it would end the connection itself."""
    open_to_any, listed = start(), start(subprotocols="v1.chat")
    offered = ["v2.chat", "v1.chat"]
    with browser.visiting(f"http://127.0.0.1:{open_to_any.port}/healthz") as view:
        view.page.set_default_timeout(WITHIN_MS)
        for gateway, offers, told in (
            (open_to_any, offered, ["open", "v2.chat"]),
            (open_to_any, [], ["open", ""]),
            (listed, offered, ["open", "v1.chat"]),
            (listed, ["mqtt"], ["closed", 1006]),
        ):
            assert view.page.evaluate(ASK, [f"ws://127.0.0.1:{gateway.port}/ws/a", offers]) == told


def test_once_sites_are_listed_the_relays_own_page_is_one_of_them_or_is_refused(browser: Browser, start: Start) -> None:
    """A page whose name was pointed at the relay could say as much."""
    without = start(allowed_origins="https://app.example.com")
    with browser.visiting(f"http://127.0.0.1:{without.port}/healthz") as view:
        assert view.page.evaluate(ASK, [f"ws://127.0.0.1:{without.port}/ws/a", []]) == ["closed", 1006]
        allowed = start(allowed_origins=f"https://*.example.com,http://127.0.0.1:{without.port}")
        assert view.page.evaluate(ASK, [f"ws://127.0.0.1:{allowed.port}/ws/a", []]) == ["open", ""]
        # A frame that is kept from its own site has no origin: `null`.
        view.page.evaluate('document.body.innerHTML = \'<iframe sandbox="allow-scripts" srcdoc="x"></iframe>\'')
        view.page.frame_locator("iframe").locator("body", has_text="x").wait_for(timeout=WITHIN_MS)
        frame = view.page.frames[-1]
        listed = start(allowed_origins="null")
        for gateway, told in ((allowed, ["closed", 1006]), (listed, ["open", ""])):
            assert frame.evaluate(ASK, [f"ws://127.0.0.1:{gateway.port}/ws/a", []]) == told
