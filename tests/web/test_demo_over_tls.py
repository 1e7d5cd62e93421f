"""The playground of a gateway that speaks TLS itself, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.harness.browser import Browser
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.gateway_process import GatewayProcess, end
from tests.web.demo_page import visit


@pytest.fixture(params=["uvloop", "asyncio"])
def gateway(request: pytest.FixtureRequest, certificate_authority: CertificateAuthority) -> Iterator[GatewayProcess]:
    """A gateway with TLS."""
    launched = GatewayProcess.secure(certificate_authority, event_loop=request.param)
    try:
        launched.start_blocking()
        yield launched
    finally:
        end([launched])


def test_two_pages_talk(browser: Browser, gateway: GatewayProcess, channel: str) -> None:
    """Over wss://, and the lines to copy say so."""
    with (
        visit(browser, gateway.port, channel, name="Ada", tls=True) as (ada, view),
        visit(browser, gateway.port, channel, name="Bob", tls=True) as (bob, _),
    ):
        ada.say("hello")
        bob.sees("Ada", "hello")
        bob.say("yes?")
        ada.sees("Bob", "yes?")
        origin = f"127.0.0.1:{gateway.port}"
        assert f"wss://{origin}/ws/{channel}?echo=1&user=Ada" in view.requests
        expect(view.page.locator("#snippets")).to_contain_text(f"https://{origin}/publish/{channel}")
        expect(view.page.locator("#snippets")).to_contain_text(f"wss://{origin}/ws/{channel}")
        assert view.complaints == []


def test_a_plain_address_leads_to_the_page(browser: Browser, gateway: GatewayProcess) -> None:
    with browser.visiting(f"http://127.0.0.1:{gateway.port}/#lobby") as view:
        assert view.page.url == f"https://127.0.0.1:{gateway.port}/#lobby"
        expect(view.page.locator("#snippets")).to_contain_text("wss://")
