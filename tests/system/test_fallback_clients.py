"""Clients that others wrote: the `EventSource` and `fetch` of a real browser, and curl."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page

from relay import Publisher
from tests.harness.browser import Browser
from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer

CURL = shutil.which("curl")

needs_curl = pytest.mark.skipif(CURL is None, reason="no curl here")

Start = Callable[..., GatewayProcess]

LISTEN = """
(url) => {
    window.got = [];
    window.states = [];
    const source = new EventSource(url);
    const bytes = (event) => Uint8Array.from(atob(event.data), (c) => c.charCodeAt(0));
    source.onopen = () => window.states.push("open");
    source.onerror = () => window.states.push(source.readyState === EventSource.CLOSED ? "closed" : "away");
    source.onmessage = (event) => window.got.push(event.data);
    source.addEventListener("text", (event) => window.got.push(new TextDecoder().decode(bytes(event))));
    source.addEventListener("binary", (event) => window.got.push(Array.from(bytes(event))));
}
"""

POLL = """
async (url) => {
    window.got = [];
    window.missed = 0;
    let cursor = "";
    while (true) {
        try {
            const answer = await (await fetch(`${url}?wait=5${cursor}`)).json();
            window.got.push(...answer.messages.map((message) => message.text));
            window.missed += answer.missed;
            cursor = `&cursor=${answer.cursor}`;
        } catch {
            await new Promise((resolve) => setTimeout(resolve, 200));
        }
    }
}
"""


# A browser pauses for up to five seconds before it comes back, and starts slowly on a busy machine.
PATIENCE_MILLISECONDS = 40_000


@pytest.fixture
def start(redis_server: RedisServer, prefix: str) -> Iterator[Start]:
    """Start a gateway over Redis, on a port that may be taken again: `start(port, ...)`."""
    started: list[GatewayProcess] = []

    def start(port: int, **settings: str | int | float) -> GatewayProcess:
        started.append(GatewayProcess(port=port, broker_url=redis_server.url, broker_prefix=prefix, **settings))
        started[-1].start_blocking()
        return started[-1]

    yield start
    end(started)


@pytest.fixture
def publisher(redis_server: RedisServer, prefix: str) -> Iterator[Publisher]:
    """A back end that publishes to those gateways."""
    with Publisher(redis_server.url, prefix=prefix) as publisher:
        yield publisher


def stop(gateway: GatewayProcess, number: signal.Signals) -> None:
    """End a gateway by a signal."""
    gateway.signal(number)
    wait_until_blocking(lambda: not gateway.running, 10, "gateway ends")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_event_source_comes_back_by_itself_and_goes_on(
    browser: Browser, start: Start, publisher: Publisher, number: signal.Signals
) -> None:
    """From a page of another site, as the settings allow it."""
    page_server = start(0)
    site = f"http://127.0.0.1:{page_server.port}"
    port = free_port()
    gateway = start(port, allowed_origins=site)
    with browser.visiting(f"{site}/healthz") as view:
        page = view.page
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.evaluate(LISTEN, f"http://127.0.0.1:{port}/sse/news")
        page.wait_for_function("window.states.at(-1) === 'open'")
        for message in ("grüß\nGott", "with\r\nreturns", b"\x00\xff"):
            publisher.publish("news", message)
        page.wait_for_function("window.got.length === 3")
        stop(gateway, number)
        page.wait_for_function("window.states.at(-1) === 'away'")
        start(port, allowed_origins=site)
        page.wait_for_function("window.states.at(-1) === 'open'")
        publisher.publish("news", "after")
        page.wait_for_function("window.got.length === 4")
        assert page.evaluate("window.got") == ["grüß\nGott", "with\r\nreturns", [0, 255], "after"]
        assert "closed" not in page.evaluate("window.states")


def test_an_event_source_of_a_site_that_is_not_allowed_hears_nothing(browser: Browser, start: Start) -> None:
    page_server, gateway = start(0), start(0)
    with browser.visiting(f"http://127.0.0.1:{page_server.port}/healthz") as view:
        view.page.evaluate(LISTEN, f"http://127.0.0.1:{gateway.port}/sse/news")
        view.page.wait_for_function("window.states.at(-1) === 'closed'")
        assert view.page.evaluate("window.states") == ["closed"]


def test_a_page_that_polls_goes_on_after_a_restart_and_knows_what_it_may_have_missed(
    browser: Browser, start: Start, publisher: Publisher
) -> None:
    port = free_port()
    gateway = start(port)
    with browser.visiting(f"http://127.0.0.1:{port}/healthz") as view:
        page = view.page
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.evaluate(f"(url) => {{ ({POLL})(url); }}", f"http://127.0.0.1:{port}/poll/news")
        # Redis counts the gateway as soon as it knows of it; the page is promised what comes after its first answer.
        wait_until_blocking(partial(heard, publisher, page), 30, "the page is subscribed")
        numbers = [f"{number}" for number in range(20)]
        for number in numbers:
            publisher.publish("news", number)
        page.wait_for_function("window.got.at(-1) === '19'")
        assert page.evaluate("[window.got.filter((text) => text !== 'first'), window.missed]") == [numbers, 0]
        stop(gateway, signal.SIGTERM)
        start(port)
        page.wait_for_function("window.missed === 1")
        publisher.publish("news", "after")
        page.wait_for_function("window.got.at(-1) === 'after'")
        assert page.evaluate("window.missed") == 1


def heard(publisher: Publisher, page: Page) -> bool:
    """Publish, and tell whether the page has ever had an answer."""
    publisher.publish("news", "first")
    return bool(page.evaluate("window.got.length"))


@needs_curl
def test_curl_shows_a_stream(start: Start, publisher: Publisher) -> None:
    gateway = start(0)
    url = f"http://127.0.0.1:{gateway.port}/sse/news"
    with subprocess.Popen(["curl", "--silent", "--no-buffer", url], stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        assert curl.stdout.readline().startswith(b"retry: ")
        publisher.publish("news", "one\ntwo")
        assert [curl.stdout.readline() for _ in range(4)] == [b"\n", b"data: one\n", b"data: two\n", b"\n"]
        stop(gateway, signal.SIGTERM)
        assert curl.stdout.read().endswith(b'event: close\ndata: {"code":1001,"reason":"going away"}\n\n')
        assert curl.wait(10) == 0


@needs_curl
def test_curl_polls(start: Start, publisher: Publisher) -> None:
    gateway = start(0)
    url = f"http://127.0.0.1:{gateway.port}/poll/news"

    def poll(query: str) -> Any:
        return json.loads(subprocess.check_output(["curl", "--silent", "--fail", f"{url}?{query}"], timeout=30))

    cursor = poll("wait=0")["cursor"]
    publisher.publish("news", "one")
    answer = poll(f"cursor={cursor}")
    assert answer["messages"] == [{"kind": "text", "text": "one"}]
    assert answer["missed"] is False
    failed = subprocess.run(["curl", "--silent", "--fail", f"{url}?wait=99"], check=False, timeout=30)
    assert failed.returncode == 22
