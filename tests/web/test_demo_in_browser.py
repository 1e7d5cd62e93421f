"""The playground in a real browser, over two gateways and a Redis."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib

import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from tests.harness.browser import Browser
from tests.harness.conditions import wait_until_blocking
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer
from tests.web.demo_page import WITHIN_MS, Client, visit

Pair = list[GatewayProcess]

HOSTILE = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>"
PHONE = 360
MISSING = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63f8cfc0f01f00050001ffd5e0a4fa0000000049454e44ae426082"
)


def tall_picture(height: int) -> bytes:
    """Return a PNG, one grey pixel wide and `height` high."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)

    head = (1).to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    lines = zlib.compress(bytes(2 * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def test_two_pages_on_two_gateways_talk(browser: Browser, pair: Pair, channel: str) -> None:
    """Both see who writes and what, in one order; nothing is asked of anybody else, and the console stays empty."""
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
            assert f"ws://{origin}/ws/{channel}?echo=1" in shown.requests
            assert {url.split("/")[2] for url in shown.requests} == {origin}
            assert shown.complaints == []


def test_clients_of_any_kind_are_understood(
    browser: Browser, pair: Pair, channel: str, redis_server: RedisServer
) -> None:
    """Plain text, other people's JSON, and bytes are shown as they are; what the page sends is readable, too."""
    foreign = '{"name": "robot", "text": "hot", "celsius": 71}'
    address = f"ws://127.0.0.1:{pair[1].port}/ws/{channel}"
    with visit(browser, pair[0].port, channel, name="Ada") as (ada, _), connect(address) as bare:
        for payload in ("hello", foreign, '{"name": 1, "text": "x"}', "{broken", b"\xff\x00\x01"):
            redis_server.admin.publish(f"relay:{channel}", payload)
        bare.send("from a bare client")
        ada.sees("no name", "from a bare client")
        texts = ada.entries.locator(".text").all_inner_texts()[1:]
        assert texts == ["hello", foreign, '{"name": 1, "text": "x"}', "{broken", "from a bare client"]
        assert ada.save(ada.sees("binary message", "3 bytes")) == ("message.bin", b"\xff\x00\x01")
        while (received := bare.recv(10)) != b"\xff\x00\x01":
            pass
        ada.say("hello,\nworld")
        received = bare.recv(10)
        assert isinstance(received, str)
        sent = json.loads(received)
        assert (sent["name"], sent["text"], set(sent)) == ("Ada", "hello,\nworld", {"name", "text", "id"})


def test_hostile_text_stays_text(browser: Browser, pair: Pair, channel: str, redis_server: RedisServer) -> None:
    """As a message, as a name, as a file's name, as a channel: no element is made of it, no script runs."""
    with visit(browser, pair[0].port, channel) as (client, view):
        redis_server.admin.publish(f"relay:{channel}", HOSTILE)
        redis_server.admin.publish(f"relay:{channel}", json.dumps({"name": HOSTILE[:60], "text": HOSTILE}))
        client.send_files((HOSTILE[:36], b"bytes"))
        client.sees("5 bytes")
        texts = client.entries.locator(".text").all_inner_texts()
        assert texts[1:3] == [HOSTILE, HOSTILE]
        assert client.entries.locator("b").all_inner_texts()[1] == HOSTILE[:60]
        name, _ = client.save(client.sees("5 bytes"))
        assert not set(name) & set("<>'\"/")
        hostile_channel = HOSTILE.replace(" ", "/")
        client.channel.fill(hostile_channel)
        client.channel.press("Enter")
        client.sees(f"Listening to {hostile_channel}")
        # Whatever was said is said once more in the lines to copy.
        assert view.page.locator("main img, main script, main style").count() == 0
        assert view.page.evaluate("window.ran === undefined")
        assert view.complaints == []


def test_the_policy_would_stop_what_got_in(browser: Browser, pair: Pair, channel: str) -> None:
    """Even a mistake in the page's own scripts could not make text into HTML, or call anybody else."""
    with visit(browser, pair[0].port, channel) as (_, view):
        assert view.page.evaluate("() => { try { document.body.innerHTML = 'x' } catch (error) { return error.name } }")
        refused = "() => fetch('http://127.0.0.1:1/').then(() => 'went', (error) => 'refused')"
        assert view.page.evaluate(refused) == "refused"

        def complained() -> bool:
            view.page.evaluate("0")  # what the browser has said meanwhile comes in with an answer
            return "Content Security Policy" in " ".join(view.complaints)

        wait_until_blocking(complained, WITHIN_MS / 1000, "the browser complains")


def test_files_arrive_byte_for_byte(browser: Browser, pair: Pair, channel: str) -> None:
    """Small ones with their names; a large one is refused with both numbers; pictures are shown when one asks."""
    data = os.urandom(50_000)
    with (
        visit(browser, pair[0].port, channel, name="Ada") as (ada, view),
        visit(browser, pair[1].port, channel) as (bob, other),
    ):
        expect(ada.root).to_contain_text("up to 64 KiB a message")
        ada.send_files(("numbers.bin", data), ("large.bin", bytes(65_537)), ("dot.png", PICTURE), ("empty", b""))
        for client in (bob, ada):
            assert client.save(client.sees("Ada", "numbers.bin", "50,000 bytes")) == ("numbers.bin", data)
        entry = bob.sees("Ada", "dot.png", f"{len(PICTURE)} bytes")
        assert bob.save(bob.sees("Ada", "empty", "0 bytes")) == ("empty", b"")
        assert bob.root.locator("img").count() == 0
        entry.get_by_role("button", name="Show").click()
        picture = entry.get_by_role("img", name="Picture: dot.png")
        expect(picture).to_be_visible(timeout=WITHIN_MS)
        assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 1
        assert not bob.entries.filter(has_text="large.bin").count()
        ada.send_files(("large.bin", bytes(65_537)))
        expect(ada.note).to_have_text("large.bin has 65,537 bytes; this server takes up to 65,536.")
        # JSON around it makes a text longer: it is the whole message that counts.
        ada.say("\N{EURO SIGN}" * 21_845)
        expect(ada.note).to_contain_text("are more than the 65536 that are allowed")
        # What is sent meanwhile by itself doesn't take away what a person has yet to read.
        ada.root.get_by_label("Repeat").select_option("10")
        bob.sees("Ada", "number 2")
        expect(ada.note).to_contain_text("are more than the 65536 that are allowed")
        ada.is_open()
        assert view.complaints == other.complaints == []


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
        expect(client.note).to_have_text("A channel has no white space, and no control or invisible characters.")
        for wrong, why in [("", "needs a name"), ("a/../b", "can't ask for"), ("x" * 256, "at most 255")]:
            client.channel.fill(wrong)
            client.button("Join").click()
            expect(client.note).to_contain_text(why)
        there = there.replace(" ", "_")
        client.channel.fill(there)
        client.button("Join").click()
        client.sees(f"Listening to {there}")
        expect(client.note).to_have_text("")
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
        expect(client.root).to_contain_text("send something")
        client.root.get_by_label("Repeat").select_option("10/s")
        client.sees("number 5", "back in")
        client.root.get_by_label("Repeat").select_option("off")
        name = re.compile(r"Round trips of the last \d+ messages, up to \d+ m?s")
        expect(client.root.get_by_role("img", name=name)).to_be_visible(timeout=WITHIN_MS)
        line = client.root.locator("svg polyline")
        expect(line).to_have_attribute("points", re.compile(r"^([\d.]+,[\d.]+ ){4}"), timeout=WITHIN_MS)
        expect(client.root).to_contain_text(re.compile(r"[\d.]+ m?s, median [\d.]+ m?s"))


def test_it_works_by_keyboard_alone(browser: Browser, pair: Pair, channel: str) -> None:
    """Everything can be reached, in the order in which it is shown, and shows that it is reached."""
    with visit(browser, pair[0].port, channel) as (client, view):
        keyboard = view.page.keyboard
        outline = "getComputedStyle(document.activeElement.type === 'file' ? document.activeElement.nextElementSibling"
        reached = []
        view.page.evaluate("getSelection().collapse(document.body, 0)")
        for _ in range(10):
            keyboard.press("Tab")
            reached.append(
                view.page.evaluate(
                    "(element => element.textContent.trim().split('\\n')[0] || element.name || element.role"
                    " || element.type)(document.activeElement)"
                )
            )
            assert view.page.evaluate(f"{outline} : document.activeElement).outlineStyle") != "none", reached
        # The log's first entry stands for it, the placeholder's box has its kind.
        assert reached[:5] == ["Open a second client", "channel", "name", "Join", "Disconnect"]
        assert reached[6:9] == ["textarea", "Send", "file"]
        client.channel.focus()
        keyboard.press("Control+A")
        keyboard.type(f"{channel}-b")
        keyboard.press("Enter")
        client.sees(f"Listening to {channel}-b")
        keyboard.press("Tab")
        keyboard.type("Eve")
        for _ in range(4):
            keyboard.press("Tab")
        keyboard.type("one line")
        keyboard.press("Shift+Enter")
        keyboard.type("and another")
        keyboard.press("Enter")
        client.sees("Eve", "one line\nand another")


def test_many_messages_are_shown_in_part_and_counted(
    browser: Browser, pair: Pair, channel: str, redis_server: RedisServer
) -> None:
    """A flood leaves the page alive: five hundred entries at most, the rest as a number, nothing read aloud."""
    total = 20_000
    with visit(browser, pair[0].port, channel) as (client, view):
        view.page.evaluate(_COUNT_LEFT_OUT)
        for _ in range(0, total, 500):
            pipe = redis_server.admin.pipeline(transaction=False)
            for _ in range(500):
                pipe.publish(f"relay:{channel}", "flood")
            pipe.execute()
        redis_server.admin.publish(f"relay:{channel}", "the last one")
        client.sees("the last one")
        assert client.entries.count() <= 500
        # Not by the browser's own waiting: that would evaluate text, which the page's policy forbids.
        counted = "window.shown + window.leftOut"
        wait_until_blocking(lambda: view.page.evaluate(counted) == total + 1, WITHIN_MS / 1000, "all are counted")
        assert view.page.evaluate("window.leftOut > 0")
        expect(client.root.get_by_role("log")).to_have_attribute("aria-live", "polite", timeout=WITHIN_MS)
        assert view.page.evaluate("window.silenced")
        client.say("still here")
        client.sees("still here", "back in")
        assert view.complaints == []


def test_who_reads_further_up_is_not_pulled_down(browser: Browser, pair: Pair, channel: str) -> None:
    with visit(browser, pair[0].port, channel) as (client, _):
        log = client.root.get_by_role("log")
        client.say("\n".join("line" for _ in range(60)))
        client.sees("line", "back in")
        log.evaluate("log => log.scrollTop = 0")
        client.say("below")
        client.button("1 new below").click()
        expect(client.button("1 new below")).to_have_count(0)
        assert log.evaluate(MISSING) < 2


def test_a_turned_phone_goes_on_with_the_newest(browser: Browser, pair: Pair, channel: str) -> None:
    """Narrower lines are more lines: the end moves away, and its reader with it."""
    with visit(browser, pair[0].port, channel) as (client, view):
        for number in range(3):
            client.say(f"{number} " + "words " * 200)
            client.sees(f"{number} words", "back in")
        view.page.set_viewport_size({"width": 390, "height": 844})
        log = client.root.get_by_role("log")
        # Not `wait_for_function`: it compiles a text in the page, which the page's policy forbids.
        wait_until_blocking(lambda: log.evaluate(MISSING) < 2, WITHIN_MS / 1000, "the newest is in sight")


def test_a_scroll_that_comes_of_lines_broken_anew_is_nobodys(browser: Browser, pair: Pair, channel: str) -> None:
    """A browser may tell of the move before it tells of the new size: the reader is still at the end."""
    with visit(browser, pair[0].port, channel) as (client, _):
        for number in range(3):
            client.say(f"{number} " + "words " * 200)
            client.sees(f"{number} words", "back in")
        log = client.root.get_by_role("log")
        told_early = "log => { log.style.width = '12rem'; log.dispatchEvent(new Event('scroll')); }"
        log.evaluate(told_early)
        assert log.evaluate(MISSING) < 2
        client.say("and the newest")
        client.sees("and the newest", "back in")
        assert log.evaluate(MISSING) < 2
        expect(client.button("1 new below")).to_have_count(0)


def test_a_picture_that_is_looked_at_pushes_nobody_from_the_end(browser: Browser, pair: Pair, channel: str) -> None:
    """What a picture adds is followed as messages are, and who then scrolls up may."""
    with visit(browser, pair[0].port, channel) as (client, _):
        log = client.root.get_by_role("log")
        client.say("\n".join("line" for _ in range(60)))
        client.sees("line", "back in")
        before = log.evaluate("log => log.scrollHeight")
        client.send_files(("tall.png", tall_picture(300)))
        client.sees("tall.png")
        client.button("Show").click()
        wait_until_blocking(lambda: log.evaluate("log => log.scrollHeight") > before + 100, 10, "the picture is there")
        wait_until_blocking(lambda: log.evaluate(MISSING) < 2, 10, "its end is in sight")
        log.evaluate("log => log.scrollTop -= 200")
        client.say("below")
        expect(client.button("1 new below")).to_have_count(1)


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
        client.button("Send").click()
        client.sees("later", "back in")
        assert view.complaints == []


def test_the_lines_to_copy_work(browser: Browser, pair: Pair, channel: str, redis_server: RedisServer) -> None:
    """Those for Python, Redis and the browser are run as they were copied, for a channel that a shell might misread."""
    name = f"{channel}'$(touch_x)"
    with visit(browser, pair[0].port, name) as (client, view), visit(browser, pair[1].port, name) as (_, other):
        copied = {}
        for title in ("Browser", "Python, websockets", "Publish with curl", "Publish through Redis"):
            button = view.page.get_by_role("button", name=f"Copy: {title}")
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
        assert other.complaints == []


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_it_fits_on_the_screen(
    browser: Browser, pair: Pair, channel: str, redis_server: RedisServer, width: int
) -> None:
    """Nothing has to be moved sideways, with two clients and long words."""
    with visit(browser, pair[0].port, channel, width=width) as (client, view):
        view.page.get_by_role("button", name="Open a second client").click()
        Client(view.page, 2).is_open()
        redis_server.admin.publish(f"relay:{channel}", "W" * 5000)
        redis_server.admin.publish(f"relay:{channel}", json.dumps({"name": "N" * 200, "text": "M" * 300}))
        client.sees("MMM")
        client.sees("WWW", "and 1,000 more characters")
        client.send_files(("long-" * 30, b"x"))
        client.sees("1 bytes")
        assert view.width == width
        sideways = "[...document.querySelectorAll('.log')].filter(log => log.scrollWidth > log.clientWidth).length"
        assert view.page.evaluate(sideways) == 0


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_light_and_dark(browser: Browser, pair: Pair, channel: str, dark: bool) -> None:
    """Every piece of text has the contrast that small text needs."""
    with visit(browser, pair[0].port, channel, dark=dark) as (client, view):
        client.say("hello")
        client.sees("hello", "back in")
        assert (view.page.evaluate(_BRIGHTNESS.format("getComputedStyle(document.body).backgroundColor")) < 0.1) is dark
        for number in range(6):
            view.page.evaluate(f"document.querySelector('.who').className = 'who colour-{number}'")
            assert view.page.evaluate(_POOR) == []


# Counts what the log shows and what it says to have left out, remarks of other kinds aside.
_COUNT_LEFT_OUT = """() => {
  window.shown = window.leftOut = 0;
  const log = document.querySelector(".log");
  new MutationObserver((changes) => {
    for (const item of changes.flatMap((change) => [...change.addedNodes])) {
      const count = /^([0-9,]+) messages left out/.exec(item.querySelector(".text").textContent);
      if (!item.classList.contains("remark")) window.shown += 1;
      else if (count !== null) window.leftOut += Number(count[1].replaceAll(",", ""));
    }
  }).observe(log, { childList: true });
  new MutationObserver(() => { window.silenced ||= log.getAttribute("aria-live") === "off"; })
    .observe(log, { attributes: true });
}"""

_BRIGHTNESS = """((colour) => {{
  const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
  const linear = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}})({})"""

_POOR = (
    """() => {
  const brightness = (colour) => """
    + _BRIGHTNESS.format("colour").replace("{{", "{").replace("}}", "}")
    + """;
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
  };
  return [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility() && !element.disabled &&
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim())
  ).filter((element) => {
    const [ink, paper] = [getComputedStyle(element).color, ground(element)].map(brightness);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 4.5;
  }).map((element) => element.outerHTML);
}"""
)
