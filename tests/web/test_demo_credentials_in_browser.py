"""The playground of a gateway that asks who its clients are."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import jwt
import pytest
from playwright.sync_api import expect

from tests.harness.browser import Browser, View
from tests.harness.conditions import wait_until_blocking
from tests.harness.gateway_process import GatewayProcess, end
from tests.web.demo_page import WITHIN_MS, Client, visit

SECRET = "0123456789abcdef0123456789abcdef"
KEY = "a-key-of-the-tests"

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


def token(channels: dict[str, str], user: str = "ann", seconds: int = 3600) -> str:
    """Return a token for some channels."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + seconds, "channels": channels}, SECRET)


def refused(client: Client, *parts: str) -> None:
    """Wait until the page says why it was not let in, for good."""
    client.is_open("Closed")
    expect(client.status).to_contain_text("refused")
    for part in parts:
        expect(client.root).to_contain_text(part)


def join_with(client: Client, credential: str) -> None:
    """Put a key or token into the field, and join."""
    client.root.locator("input[name=token]").fill(credential)
    client.button("Join").click()


def shown(view: View) -> str:
    """Return all that the page shows, and where it is."""
    return view.page.evaluate("document.body.innerText + location.href + document.title")  # type: ignore[no-any-return]


def test_where_everybody_may_do_everything_the_page_says_so_and_wants_nothing(browser: Browser, start: Start) -> None:
    with visit(browser, start().port, "a") as (client, view):
        expect(view.page.locator("#access")).to_have_text(
            "Every client that reaches this server may listen and publish to every channel: RELAY_AUTH is none."
        )
        expect(client.root.locator("input[name=token]")).to_be_hidden()
        expect(view.page.locator("#snippets")).not_to_contain_text("TOKEN")
    with visit(browser, start(rights="a=rw").port, "a") as (_, view):
        expect(view.page.locator("#access")).to_contain_text("Every client has the same rights here")


@pytest.mark.parametrize("subprotocols", ["v1.chat,v2.chat", "mqtt,relay"])
def test_a_token_opens_the_channel_and_stays_in_the_tab(browser: Browser, start: Start, subprotocols: str) -> None:
    """Without one the page says what is missing; with one it is in no address, no line to copy and no request's URL."""
    gateway = start(auth="jwt", jwt_secret=SECRET, subprotocols=subprotocols)
    good = token({"a": "rw", "b": "rw"})
    with browser.visiting(f"http://127.0.0.1:{gateway.port}/#a") as view:
        client = Client(view.page)
        refused(client, "this relay wants a token")
        expect(view.page.locator("#access")).to_contain_text("put a token into the field")
        join_with(client, good)
        client.is_open()
        client.say("hello")
        client.sees("hello", "back in")
        view.page.reload()
        client.is_open()
        client.channel.fill("b")
        client.button("Join").click()
        client.sees("Listening to b")
        signature = good.rpartition(".")[2]
        assert signature not in shown(view)
        assert [url for url in view.requests if signature in url] == []
        assert view.page.evaluate("JSON.stringify(localStorage)").count(signature) == 0
        expect(view.page.locator("#snippets")).to_contain_text("bearer.TOKEN")
        expect(view.page.locator("#snippets")).to_contain_text("relay token --user ann --channel b=rw --ttl 1h")
        join_with(client, "")
        refused(client, "this relay wants a token")
        assert view.page.evaluate("sessionStorage.length") == 0
    with browser.visiting(f"http://127.0.0.1:{gateway.port}/#a") as another:
        refused(Client(another.page), "this relay wants a token")


@pytest.mark.parametrize("protocol", ["WebSocket", "events"])
def test_why_a_token_is_refused_is_told(browser: Browser, start: Start, protocol: str) -> None:
    """Beside its field, or that of the channel. A browser alone would not tell the page, which doesn't try again."""
    gateway = start(auth="jwt", jwt_secret=SECRET)
    with browser.visiting(f"http://127.0.0.1:{gateway.port}/#a") as view:
        client = Client(view.page)
        client.root.get_by_label("Protocol").select_option(protocol)
        refused(client)
        for credential, reason, note in (
            (token({"a": "rw"}, seconds=-60), "the token has expired", client.token_note),
            (token({"b": "rw"}), "you may not subscribe to this channel", client.channel_note),
            (token({"a": "rw"}) + "x", "signature is not valid", client.token_note),
            ("abc", "three parts with dots between them", client.token_note),
        ):
            join_with(client, credential)
            expect(note).to_contain_text(reason)
            refused(client)
        join_with(client, token({"a": "rw"}))
        client.is_open()
        expect(client.token_note).to_have_text("")


def test_two_clients_of_a_page_may_be_two_users(browser: Browser, start: Start) -> None:
    """Who may only listen is told when it writes; a key that no subprotocol can carry is refused in words, too."""
    gateway = start(auth="key", auth_keys=f"{KEY};user=ann,readonly-{KEY};user=bob;a=r")
    with browser.visiting(f"http://127.0.0.1:{gateway.port}/#a") as view:
        ann = Client(view.page)
        refused(ann, "this relay wants a key")
        view.page.set_viewport_size({"width": 360, "height": 800})
        assert view.width == 360
        view.page.set_viewport_size({"width": 1100, "height": 800})
        expect(ann.root.get_by_label("Key", exact=True)).to_have_attribute("type", "password")
        for wrong, told in (("a key", "A key or token has no white space"), ("schlüssel", "ASCII characters only")):
            join_with(ann, wrong)
            expect(ann.token_note).to_contain_text(told)
        join_with(ann, "a/key=with+others")
        refused(ann, "the key is none of this relay's")
        join_with(ann, KEY)
        ann.is_open()
        view.page.get_by_role("button", name="Open a second client").click()
        bob = Client(view.page, 2)
        bob.is_open()
        join_with(bob, f"readonly-{KEY}")
        bob.is_open()
        ann.say("hello")
        bob.sees("hello")
        bob.say("me too")
        bob.is_open("Closed")
        expect(bob.status).to_contain_text("code 1008, not allowed")
        view.page.reload()
        ann.is_open()


def test_the_lines_to_copy_work_with_a_token(browser: Browser, start: Start) -> None:
    """Once it stands where TOKEN stands in them."""
    gateway = start(auth="jwt", jwt_secret=SECRET, log_level="debug")
    good = token({"a": "rw"})
    with browser.visiting(f"http://127.0.0.1:{gateway.port}/#a") as view:
        client = Client(view.page)
        refused(client)
        join_with(client, good)
        client.is_open()
        codes = view.page.locator("#snippets code").all_inner_texts()
        make, in_browser, returning, python, sdk, centrifuge, publish, listen = (
            code.replace("TOKEN", good) for code in codes
        )
        assert make == "relay token --user ann --channel a=rw --ttl 1h"
        url = f"http://127.0.0.1:{gateway.port}"
        socket = f"ws://127.0.0.1:{gateway.port}/connection/websocket"
        assert f'new Centrifuge("{socket}", {{ token: "{good}" }})' in centrifuge
        assert f'token: () => "{good}"' in returning
        assert publish == f"curl -H 'Authorization: Bearer {good}' -d hello {url}/publish/a"
        assert listen == f"curl -H 'Authorization: Bearer {good}' -N {url}/sse/a"
        # `const` in an evaluated script is global for nobody else.
        view.page.evaluate(f"() => {{ {in_browser} }}")
        expect(client.entries.filter(has_text="hello")).to_have_count(1, timeout=WITHIN_MS)
        program = subprocess.Popen([sys.executable, "-u", "-c", python], stdout=subprocess.PIPE, text=True)
        try:
            expect(client.entries.filter(has_text="hello")).to_have_count(2, timeout=WITHIN_MS)
            client.say("for Python")
            assert program.stdout is not None
            assert json.loads(program.stdout.readline())["text"] == "for Python"
        finally:
            program.kill()
            program.communicate()
        known = len(gateway.records("connected"))
        program = subprocess.Popen([sys.executable, "-u", "-c", sdk], stdout=subprocess.PIPE, text=True)
        try:
            wait_until_blocking(lambda: len(gateway.records("connected")) > known, what="the other program listens")
            client.say("for relay.Client")
            assert program.stdout is not None
            assert json.loads(program.stdout.readline())["text"] == "for relay.Client"
        finally:
            program.kill()
            program.communicate()
