"""What the playground says of itself is so: where it is, who it is, what the channel keeps, and when it stays away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest
from playwright.sync_api import expect

from tests.harness.balancer import Balancer
from tests.harness.browser import Browser
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer
from tests.web.demo_page import Client, visit

KEY = "an-api-key-of-the-tests"


@pytest.fixture(scope="module")
def gateway(redis_server: RedisServer) -> Iterator[GatewayProcess]:
    """A gateway with a server API, and with a namespace that keeps its messages."""
    started = GatewayProcess(broker_url=redis_server.url, api_keys=KEY, namespaces='{"kept": {"history_size": 100}}')
    try:
        started.start_blocking()
        yield started
    finally:
        end([started])


def call(gateway: GatewayProcess, method: str, **parameters: str) -> None:
    """Call the server API."""
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", gateway.port)) as connection:
        connection.request("POST", f"/api/{method}", json.dumps(parameters), headers)
        assert json.load(connection.getresponse()) == {"result": {}}


def lit(client: Client) -> bool:
    """Return whether the button "Join" stands out."""
    return "main" in (client.button("Join").get_attribute("class") or "")


def test_where_a_client_is_stands_above_it(browser: Browser, gateway: GatewayProcess, channel: str) -> None:
    """Not what its field says: "Join" lights up while that is something else. Names are readable."""
    there = f"{channel}:b/über,a=1"
    with visit(browser, gateway.port, channel, name="Ada") as (client, view):
        heading = client.root.get_by_role("heading")
        assert not lit(client)
        client.channel.fill(there)
        assert lit(client)
        client.say("where am I?")
        client.sees("where am I?", "back in")
        expect(heading).to_have_text(f"Client 1 in {channel}")
        client.channel.press("Enter")
        client.sees(f"Listening to {there}")
        expect(heading).to_have_text(f"Client 1 in {there}")
        assert not lit(client)
        socket = f"ws://127.0.0.1:{gateway.port}/ws/{there}?echo=1&user=Ada"
        expect(view.page.locator("#address")).to_have_text(socket)
        assert view.page.url.endswith(f"#{channel}:b/%C3%BCber,a=1")
        expect(view.page.locator("#snippets")).to_contain_text(f"/publish/{channel}:b/%C3%BCber,a=1")
        # A name counts once its field is left.
        client.name.fill("Eve")
        assert lit(client)
        client.name.press("Tab")
        client.is_open()
        assert not lit(client)
        assert view.requests[-1].endswith("&user=Eve")
        client.button("Disconnect").click()
        client.name.fill("Mallory")
        client.name.press("Tab")
        client.is_open("Closed")
        client.button("Connect").click()
        client.is_open()
        assert view.requests[-1].endswith("&user=Mallory")
        assert view.complaints == []


@pytest.mark.parametrize("protocol", ["WebSocket", "events", "Centrifuge"])
def test_whom_a_back_end_sends_away_stays_away(
    browser: Browser, gateway: GatewayProcess, channel: str, protocol: str
) -> None:
    """It finds the client by its name, and says by the code that it should not come back."""
    with visit(browser, gateway.port, channel, name=f"Ada of {channel}") as (client, _):
        client.speak(protocol)
        told = {
            "disconnect": "(code 3503, force disconnect)",
            "unsubscribe": "server unsubscribe" if protocol == "Centrifuge" else "(code 4500, unsubscribed)",
        }
        for method, reason in told.items():
            which = {"channel": channel} if method == "unsubscribe" else {}
            call(gateway, method, user=f"Ada of {channel}", **which)
            client.is_open("Closed")
            expect(client.status).to_contain_text(reason)
            client.button("Connect").click()
            client.is_open()


def test_a_single_message_that_is_kept_is_called_so(browser: Browser, gateway: GatewayProcess, channel: str) -> None:
    with visit(browser, gateway.port, f"kept:{channel}") as (client, _):
        client.say("one")
        client.sees("one", "back in")
        client.button("Show messages").click()
        client.sees("The last message that the channel keeps:")


def test_what_a_channel_keeps_is_shown_when_one_asks(browser: Browser, gateway: GatewayProcess, channel: str) -> None:
    """As many messages as one wants; why there are none is said beside the question."""
    with visit(browser, gateway.port, f"kept:{channel}", name="Ada") as (client, view):
        client.button("Show messages").click()
        client.sees("The channel keeps no message yet")
        for text in ("one", "two", "three"):
            client.say(text)
            client.sees(text, "back in")
        client.send_files(("numbers.bin", bytes(5)))
        client.sees("numbers.bin", "5 bytes")
        client.part("count").fill("4")
        client.part("count").press("Enter")
        client.sees("The last 4 messages that the channel keeps")
        client.sees("From here on: live")
        before = client.entries.filter(has=view.page.locator(".before")).all_inner_texts()
        shown = [" ".join(text.split()) for text in before]
        assert shown == [
            "before Ada two no. 2",
            "before Ada three no. 3",
            "before Ada sends numbers.bin no. 4",
            "before Ada numbers.bin 5 bytes Save no. 5",
        ]
        note = client.part("keptNote")
        client.part("count").fill("0")
        client.button("Show messages").click()
        expect(note).to_have_text("Not shown: 1 to 1000 can be asked for.")
        client.part("count").fill("20")
        client.channel.fill(channel)
        client.channel.press("Enter")
        client.sees(f"Listening to {channel}")
        expect(note).to_have_text("")
        client.button("Show messages").click()
        expect(note).to_have_text("Not shown: history: this channel keeps no messages.")


def test_who_looks_at_the_page_again_needs_not_wait(browser: Browser, gateway: GatewayProcess, channel: str) -> None:
    """No timer has to run out: here the clock stands still."""
    with Balancer(gateway.port) as balancer, visit(browser, balancer.port, channel) as (client, view):
        view.page.clock.install()
        view.page.reload()
        client.is_open()
        balancer.prefer()
        view.page.clock.pause_at(view.page.evaluate("Date.now()") + 100)
        balancer.cut()
        client.is_open("Reconnecting")
        balancer.prefer(gateway.port)
        view.page.evaluate("window.dispatchEvent(new Event('focus'))")
        client.is_open()


def test_the_first_dozen_of_names_have_a_dozen_of_colours(
    browser: Browser, gateway: GatewayProcess, channel: str, redis_server: RedisServer
) -> None:
    with visit(browser, gateway.port, channel) as (client, _):
        for number in range(12):
            said = json.dumps({"name": f"guest-{number}", "text": f"I am {number}."})
            redis_server.admin.publish(f"relay:{channel}", said)
        client.sees("I am 11.")
        colours = "names => names.map(name => getComputedStyle(name).color)"
        assert len(set(client.entries.locator(".who").evaluate_all(colours))) == 12
