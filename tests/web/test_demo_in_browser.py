"""The playground in a real browser, over two gateways and a Redis."""

from __future__ import annotations

import re
import subprocess
import sys

from playwright.sync_api import expect

from tests.harness.browser import Browser
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer
from tests.web.demo_page import WITHIN_MS, Client, visit

Pair = list[GatewayProcess]


def test_two_pages_on_two_gateways_talk(browser: Browser, pair: Pair, channel: str) -> None:
    """Both see who writes and what, in one order; no other server is asked, and the console stays empty."""
    one, two = pair
    with (
        visit(browser, one.port, channel, name="Ada") as (ada, view),
        visit(browser, two.port, channel, name="Bob") as (bob, other),
    ):
        ada.say("hello from one")
        bob.sees("Ada", "hello from one")
        bob.say("and from the other")
        ada.sees("Bob", "and from the other")
        for client in (ada, bob):
            texts = client.entries.locator(".text").all_inner_texts()
            assert texts == [f"Listening to {channel}", "hello from one", "and from the other"]
        assert view.page.title() == f"{channel} \N{EN DASH} relay playground"
        for gateway, shown in ((one, view), (two, other)):
            origin = f"127.0.0.1:{gateway.port}"
            name = "Ada" if gateway is one else "Bob"
            assert f"ws://{origin}/ws/{channel}?echo=1&user={name}" in shown.requests
            assert {url.split("/")[2] for url in shown.requests} == {origin}
            assert shown.complaints == []


def test_a_second_client_opens_in_the_same_page(browser: Browser, pair: Pair, channel: str) -> None:
    """With a name of its own; closed again, the page is as before."""
    with visit(browser, pair[0].port, channel, name="Ada") as (one, view):
        opener = view.page.get_by_role("button", name="Open a second client")
        opener.click()
        two = Client(view.page, 2)
        two.is_open()
        expect(two.text).to_be_focused()
        expect(two.channel).to_have_value(channel)
        two.name.fill("Bob")
        two.name.press("Tab")
        two.is_open()
        one.say("hello")
        two.sees("Ada", "hello")
        two.say("yes?")
        one.sees("Bob", "yes?")
        expect(opener).to_be_disabled()
        two.button("Close").click()
        expect(two.root).to_have_count(0)
        expect(opener).to_be_focused()
        one.say("are you there?")
        one.sees("are you there?", "back in")
        assert view.complaints == []


def test_a_channel_is_left_for_another(browser: Browser, pair: Pair, channel: str) -> None:
    """By the form and by the address; what comes in the old one is not heard any more."""
    there = f"{channel}/über 100%"
    with visit(browser, pair[0].port, channel) as (client, view), visit(browser, pair[1].port, channel) as (other, _):
        client.channel.fill(there)
        client.button("Join").click()
        expect(client.channel_note).to_have_text(
            "A channel has no white space, and no control or invisible characters."
        )
        for wrong, why in [("", "needs a name"), ("a/../b", "can't ask for"), ("x" * 256, "at most 255")]:
            client.channel.fill(wrong)
            client.button("Join").click()
            expect(client.channel_note).to_contain_text(why)
        there = there.replace(" ", "_")
        client.channel.fill(there)
        client.button("Join").click()
        client.sees(f"Listening to {there}")
        expect(client.channel_note).to_have_text("")
        expect(view.page.locator("#snippets")).to_contain_text(f"relay:{there}")
        other.say("in the old channel")
        other.sees("in the old channel", "back in")
        other.page.evaluate("hash => location.hash = hash", view.page.evaluate("location.hash"))
        other.sees(f"Listening to {there}")
        other.say("in the new channel")
        client.sees("in the new channel")
        assert not client.entries.filter(has_text="in the old channel").count()
        assert view.complaints == []


def test_round_trips_are_drawn(browser: Browser, pair: Pair, channel: str) -> None:
    """By repeated messages, too; the chart says in words what it shows."""
    with visit(browser, pair[0].port, channel) as (client, _):
        expect(client.root.locator("svg")).not_to_be_visible()  # not even a line
        client.root.get_by_label("Repeat").select_option("10/s")
        client.sees("number 5", "back in")
        client.root.get_by_label("Repeat").select_option("off")
        name = re.compile(r"Round trips of the last \d+ messages, up to [\d.]+ m?s")
        expect(client.root.get_by_role("img", name=name)).to_be_visible(timeout=WITHIN_MS)
        line = client.root.locator("svg polyline")
        expect(line).to_have_attribute("points", re.compile(r"^([\d.]+,[\d.]+ ){4}"), timeout=WITHIN_MS)
        expect(client.root).to_contain_text(re.compile(r"[\d.]+ m?s, median [\d.]+ m?s"))


def test_what_cannot_be_sent_is_kept_and_explained(browser: Browser, pair: Pair, channel: str) -> None:
    with visit(browser, pair[0].port, channel) as (client, view):
        client.button("Disconnect").click()
        client.is_open("Closed")
        expect(client.status).to_contain_text("by you")
        client.text.fill("later")
        expect(client.button("Send")).to_be_disabled()
        view.page.evaluate("document.querySelector('.panel').querySelector('.composer').requestSubmit()")
        expect(client.note).to_have_text("Not sent: not connected.")
        expect(client.text).to_have_value("later")
        client.button("Connect").click()
        client.is_open()
        expect(client.note).to_have_text("")
        client.button("Send").click()
        client.sees("later", "back in")
        assert view.complaints == []


def test_the_lines_to_copy_work(browser: Browser, pair: Pair, channel: str, redis_server: RedisServer) -> None:
    """Those for Python, Redis and the browser are run as they were copied, for a channel that a shell might misread."""
    name = f"{channel}'$(touch_x)"
    with visit(browser, pair[0].port, name) as (client, view), visit(browser, pair[1].port, name) as (_, other):
        copied = {}
        for title in (
            "Browser",
            "Browser, comes back by itself",
            "Python, websockets",
            "Publish with curl",
            "Publish through Redis",
        ):
            button = view.page.get_by_role("button", name=f"Copy: {title}", exact=True)
            button.click()
            expect(button).to_have_text("Copied")
            copied[title] = view.page.evaluate("navigator.clipboard.readText()")
        assert copied["Publish with curl"].startswith(
            f"curl -d hello 'http://127.0.0.1:{pair[0].port}/publish/{channel}"
        )
        port = ["-p", str(redis_server.port)]
        words = copied["Publish through Redis"].replace("redis-cli", f"redis-cli {' '.join(port)}", 1)
        subprocess.run(["sh", "-c", words], check=True, capture_output=True)
        expect(client.entries.filter(has_text="hello")).to_have_count(1, timeout=WITHIN_MS)
        program = [sys.executable, "-u", "-c", copied["Python, websockets"]]
        python = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        try:
            expect(client.entries.filter(has_text="hello")).to_have_count(2, timeout=WITHIN_MS)
            client.say("for Python")
            assert python.stdout is not None
            assert "for Python" in python.stdout.readline()
        finally:
            python.kill()
            python.communicate()
        view.page.evaluate(f"() => {{ {copied['Browser']} window.kept = socket; }}")
        expect(client.entries.filter(has_text="hello")).to_have_count(3, timeout=WITHIN_MS)
        module = copied["Browser, comes back by itself"]
        head, _, rest = module.partition("\n")
        address = head.split('"')[1]
        script = (
            f"async () => {{ const {{ RelayClient }} = await import('{address}'); {rest}; window.client = client; }}"
        )
        view.page.evaluate(script)
        view.page.evaluate(_UNTIL_OPEN)
        assert other.complaints == []


_UNTIL_OPEN = """async () => {
  while (window.client.state.name !== "open") await new Promise((resolve) => setTimeout(resolve, 10));
}"""
