"""The playground for everybody: by keyboard, on small screens, in light and dark."""

from __future__ import annotations

import json

from tests.harness.browser import Browser
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer
from tests.web.demo_page import Client, visit

Pair = list[GatewayProcess]

PHONE = 360


def test_it_works_by_keyboard_alone(browser: Browser, pair: Pair, channel: str) -> None:
    """Everything can be reached, in the order in which it is shown, and shows that it is reached."""
    with visit(browser, pair[0].port, channel) as (client, view):
        keyboard = view.page.keyboard
        outline = "getComputedStyle(document.activeElement.type === 'file' ? document.activeElement.nextElementSibling"
        reached = []
        view.page.evaluate("getSelection().collapse(document.body, 0)")
        for _ in range(14):
            keyboard.press("Tab")
            reached.append(
                view.page.evaluate(
                    "(element => element.textContent.trim().split('\\n')[0] || element.name || element.role"
                    " || element.type)(document.activeElement)"
                )
            )
            assert view.page.evaluate(f"{outline} : document.activeElement).outlineStyle") != "none", reached
        # The placeholder's box has its kind, and the log its role or, as text, its first entry.
        assert reached[:7] == [
            "Open a second client", "Cut my network for 10 s", "Disconnect", "channel", "name", "WebSocket", "Join"
        ]  # fmt: skip
        assert reached[7:9] == ["count", "Show messages"]
        assert reached[10:13] == ["textarea", "Send", "file"]
        client.channel.focus()
        keyboard.press("Control+A")
        keyboard.type(f"{channel}-b")
        keyboard.press("Enter")
        client.sees(f"Listening to {channel}-b")
        keyboard.press("Tab")
        keyboard.type("Eve")
        keyboard.press("Tab")
        client.is_open()
        client.text.focus()
        keyboard.type("one line")
        keyboard.press("Shift+Enter")
        keyboard.type("and another")
        keyboard.press("Enter")
        client.sees("Eve", "one line\nand another")


def test_it_fits_on_the_screen(browser: Browser, pair: Pair, channel: str, redis_server: RedisServer) -> None:
    """Nothing has to be moved sideways, with two clients and long words."""
    with visit(browser, pair[0].port, channel, width=1280) as (client, view):
        view.page.get_by_role("button", name="Open a second client").click()
        Client(view.page, 2).is_open()
        redis_server.admin.publish(f"relay:{channel}", "W" * 5000)
        redis_server.admin.publish(f"relay:{channel}", json.dumps({"name": "N" * 200, "text": "M" * 300}))
        client.sees("MMM")
        client.sees("WWW", "and 1,000 more characters")
        client.send_files(("long-" * 30, b"x"))
        client.sees("1 byte")
        sideways = "[...document.querySelectorAll('.log')].filter(log => log.scrollWidth > log.clientWidth).length"
        for width in (1280, PHONE):
            view.page.set_viewport_size({"width": width, "height": 800})
            for part in ("2", "1"):
                view.page.evaluate(f"document.querySelector('[data-shows=\"{part}\"]').click()")
                assert view.width == width
                assert view.page.evaluate(sideways) == 0


def test_text_can_be_read_in_light_and_dark(browser: Browser, pair: Pair, channel: str) -> None:
    """Every piece of text has the contrast that small text needs."""
    with visit(browser, pair[0].port, channel) as (client, view):
        client.say("hello")
        client.sees("hello", "back in")
        for dark in (False, True):
            view.page.emulate_media(color_scheme="dark" if dark else "light")
            ground = view.page.evaluate(_BRIGHTNESS.format("getComputedStyle(document.body).backgroundColor"))
            assert (ground < 0.1) is dark
            for number in range(12):
                view.page.evaluate(f"document.querySelector('.who').className = 'who colour-{number}'")
                assert view.page.evaluate(POOR) == []


_BRIGHTNESS = """((colour) => {{
  const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
  const linear = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}})({})"""

POOR = (
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
