"""Messages in the playground, in a real browser: of clients of any kind, of files, and of attackers."""

from __future__ import annotations

import json
import os

from playwright.sync_api import expect
from websockets.sync.client import connect

from tests.harness.browser import Browser
from tests.harness.conditions import wait_until_blocking
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer
from tests.web.demo_page import WITHIN_MS, visit

Pair = list[GatewayProcess]

HOSTILE = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>"
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63f8cfc0f01f00050001ffd5e0a4fa0000000049454e44ae426082"
)


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


def test_long_names_are_cut(browser: Browser, pair: Pair, channel: str, redis_server: RedisServer) -> None:
    """A message has room for a megabyte of them, which would take the page's breath."""
    with visit(browser, pair[0].port, channel) as (client, _):
        said = {"name": "n" * 10_000, "text": "look", "file": "f" * 10_000 + ".png", "bytes": len(PICTURE)}
        redis_server.admin.publish(f"relay:{channel}", json.dumps(said))
        redis_server.admin.publish(f"relay:{channel}", PICTURE)
        entry = client.sees(f"{len(PICTURE)} bytes")
        assert entry.locator("b").all_inner_texts() == ["n" * 64, "f" * 100]
        assert client.save(entry) == ("f" * 96 + ".png", PICTURE)
        entry.get_by_role("button", name="Show").click()
        assert entry.locator("img").get_attribute("alt") == "Picture: " + "f" * 100


def test_the_policy_would_stop_what_got_in(browser: Browser, pair: Pair, channel: str) -> None:
    """Even a mistake in the page's own scripts could not make text into HTML, or call another server."""
    with visit(browser, pair[0].port, channel) as (_, view):
        assert view.page.evaluate("() => { try { document.body.innerHTML = 'x' } catch (error) { return error.name } }")
        refused = "() => fetch('http://127.0.0.1:1/').then(() => 'went', (error) => 'refused')"
        assert view.page.evaluate(refused) == "refused"

        def complained() -> bool:
            view.page.evaluate("0")  # what the browser has said meanwhile comes in with an answer
            return "Content Security Policy" in " ".join(view.complaints)

        wait_until_blocking(complained, WITHIN_MS / 1000, "the browser complains")


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


def test_files_arrive_byte_for_byte(browser: Browser, pair: Pair, channel: str) -> None:
    """Small ones with their names; a large one is refused with both numbers; pictures are shown when one asks."""
    data = os.urandom(50_000)
    with (
        visit(browser, pair[0].port, channel, name="Ada") as (ada, view),
        visit(browser, pair[1].port, channel) as (bob, other),
    ):
        expect(ada.root).to_contain_text("up to 64 KiB")
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
