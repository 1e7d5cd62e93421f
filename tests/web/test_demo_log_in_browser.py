"""The log of the playground in a real browser: what is shown of many messages, and where its reader stays."""

from __future__ import annotations

import zlib

from playwright.sync_api import expect

from tests.harness.browser import Browser
from tests.harness.conditions import wait_until_blocking
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer
from tests.web.demo_page import WITHIN_MS, visit

Pair = list[GatewayProcess]

MISSING = "log => log.scrollHeight - log.scrollTop - log.clientHeight"


def tall_picture(height: int) -> bytes:
    """Return a PNG, one grey pixel wide and `height` high."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)

    head = (1).to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    lines = zlib.compress(bytes(2 * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def test_many_messages_are_shown_in_part_and_counted(
    browser: Browser, pair: Pair, channel: str, redis_server: RedisServer
) -> None:
    """A flood leaves the page alive: five hundred entries at most, the rest as a number, nothing read aloud."""
    total = 5_000
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
        wait_until_blocking(lambda: view.page.evaluate("window.silenced"), WITHIN_MS / 1000, "it was silent")
        expect(client.root.get_by_role("log")).to_have_attribute("aria-live", "polite", timeout=WITHIN_MS)
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
  }).observe(log.querySelector("ol"), { childList: true });
  new MutationObserver(() => { window.silenced ||= log.getAttribute("aria-live") === "off"; })
    .observe(log, { attributes: true });
}"""
