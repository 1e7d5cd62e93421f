"""The playground as a client of the Centrifuge protocol: positions, recovery, presence, and plain clients beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.harness.browser import Browser
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer
from tests.web.demo_page import WITHIN_MS, Client, visit
from tests.web.test_demo_access_in_browser import PHONE, POOR
from tests.web.test_demo_credentials_in_browser import SECRET, token

ALL = '{"kept": {"history_size": 100, "presence": true, "join_leave": true}}'


@pytest.fixture(scope="module")
def gateways(redis_server: RedisServer) -> Iterator[list[GatewayProcess]]:
    """Two gateways over one Redis, with a namespace that has all that the page can show."""
    started = [GatewayProcess(broker_url=redis_server.url, namespaces=ALL) for _ in range(2)]
    try:
        for gateway in started:
            gateway.start_blocking()
        yield started
    finally:
        end(started)


RESUMED = {
    "Centrifuge": "Back again: recovered 3 messages",
    "events": "Back again: it goes on after no. 1",
    "WebSocket": "Back again; what was said meanwhile was missed",
}
"""Protocol → what its client says after a cut."""


@pytest.mark.parametrize("protocol", RESUMED)
def test_what_was_said_during_a_cut_is_recovered(
    browser: Browser, gateways: list[GatewayProcess], channel: str, protocol: str
) -> None:
    """Where the protocol can: clients of all of them talk with each other, and see what became of what was said."""
    one, two = gateways
    name = f"kept:{channel}"
    with (
        visit(browser, one.port, name, name="Ada") as (ada, view),
        visit(browser, two.port, name, name="Bob") as (bob, other),
    ):
        ada.speak(protocol)
        if protocol == "Centrifuge":
            expect(ada.part("here")).to_contain_text("Ada (you)")
            expect(ada.part("here")).to_contain_text("Bob")
        ada.say("hello")
        ada.sees("hello", "back in", "" if protocol == "WebSocket" else "no. 1")
        bob.sees("Ada", "hello")
        view.page.clock.install()
        ada.button("Cut my network for 10 s").click()
        ada.is_open("Reconnecting")
        ada.sees("Connection lost: you cut the network")
        for number in range(3):
            bob.say(f"meanwhile {number}")
            bob.sees(f"meanwhile {number}", "back in")
        view.page.clock.run_for(10_000)
        ada.sees(RESUMED[protocol])
        if protocol != "WebSocket":
            ada.sees("Bob", "meanwhile 2", "no. 4")
            expect(ada.part("position")).to_have_text("4")
        ada.say("I am back")
        bob.sees("Ada", "I am back")
        texts = ada.entries.locator(".text").all_inner_texts()
        heard = [text for text in texts if text.startswith("meanwhile")]
        assert heard == ([] if protocol == "WebSocket" else ["meanwhile 0", "meanwhile 1", "meanwhile 2"])
        assert view.complaints == other.complaints == []


def test_who_is_here_stands_beside_the_position(browser: Browser, gateways: list[GatewayProcess], channel: str) -> None:
    """However many lines the names take: none of them is below the position."""
    name = f"kept:{channel}"
    with visit(browser, gateways[0].port, name, name="Ada Lovelace of London", width=1366, height=650) as (ada, view):
        ada.speak("Centrifuge")
        with visit(browser, gateways[1].port, name, name="Robert the Bruce of Scotland") as (bob, _):
            bob.speak("Centrifuge")
            here = ada.part("here")
            expect(here).to_contain_text("Robert the Bruce of Scotland")
            rects = "(part) => [...part.getClientRects()].map(({ left }) => left)"
            lines = here.evaluate(rects)
            (right, *_) = ada.part("positioned").evaluate("(part) => [part.getBoundingClientRect().right]")
            assert len(lines) > 1
            assert min(lines) > right
        assert view.complaints == []


def test_where_nothing_is_kept_it_says_which_settings_are_missing(
    browser: Browser, gateways: list[GatewayProcess], channel: str
) -> None:
    with visit(browser, gateways[0].port, channel) as (client, view):
        client.speak("Centrifuge")
        lacks = client.root.locator("[data-part=lacks]")
        expect(lacks).to_contain_text("RELAY_HISTORY_SIZE")
        expect(lacks).to_contain_text("RELAY_PRESENCE", timeout=WITHIN_MS)
        client.say("hello")
        client.sees("hello", "back in")
        view.page.clock.install()
        client.button("Cut my network for 10 s").click()
        client.is_open("Reconnecting")
        view.page.clock.run_for(10_000)
        client.sees("Back again; what was said meanwhile was missed")
        client.speak("WebSocket")
        expect(lacks).to_have_text("A WebSocket misses what is said while it is away; events and Centrifuge don't.")
        assert view.complaints == []


def test_it_fits_and_can_be_read(browser: Browser, gateways: list[GatewayProcess], channel: str) -> None:
    with visit(browser, gateways[0].port, channel, width=1280) as (client, view):
        client.speak("Centrifuge")
        expect(client.root.locator("[data-part=lacks]")).to_contain_text("RELAY_PRESENCE", timeout=WITHIN_MS)
        client.say("W" * 500)
        client.sees("WWW", "back in")
        for width, dark in ((1280, False), (PHONE, True)):
            view.page.set_viewport_size({"width": width, "height": 800})
            view.page.emulate_media(color_scheme="dark" if dark else "light")
            assert view.width == width
            assert view.page.evaluate(POOR) == []


def test_who_is_kept_away_learns_why(browser: Browser, redis_server: RedisServer, channel: str) -> None:
    """By a subscription or a message that is refused, and by the server's code."""
    gateway = GatewayProcess(broker_url=redis_server.url, rights="news=r,open=rw")
    try:
        gateway.start_blocking()
        with visit(browser, gateway.port, "open") as (client, _):
            client.speak("Centrifuge")
            for name, told in [("news", "Listening to news"), ("closed", "")]:
                client.channel.fill(name)
                client.button("Join").click()
                if told:
                    client.sees(told)
                    client.say("hello")
                    expect(client.note).to_have_text("Not sent: permission denied.")
            client.is_open("Closed")
            expect(client.status).to_have_text(re.compile("refused: permission denied"))
    finally:
        end([gateway])


def test_a_token_is_sent_by_the_protocol(browser: Browser, redis_server: RedisServer) -> None:
    """Not in the address; one that isn't valid closes the client for good, with the code of the protocol."""
    gateway = GatewayProcess(broker_url=redis_server.url, auth="jwt", jwt_secret=SECRET)
    try:
        gateway.start_blocking()
        good = token({"a": "rw"})
        with browser.visiting(f"http://127.0.0.1:{gateway.port}/#a") as view:
            client = Client(view.page)
            client.is_open("Closed")
            client.root.get_by_label("Protocol").select_option("Centrifuge")
            for given, told in (("nonsense", "refused: invalid token"), (good, "Open")):
                client.root.get_by_label("Token").fill(given)
                client.button("Join").click()
                expect(client.status).to_contain_text(told)
            client.say("hello")
            client.sees("hello", "back in")
            assert not [url for url in view.requests if good in url]
    finally:
        end([gateway])
