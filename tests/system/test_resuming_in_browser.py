"""A real browser's pages miss nothing of a channel with a history while gateways come and go."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.harness.browser import Browser
from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer

Start = Callable[[int], GatewayProcess]

SETTINGS = {"namespaces": '{"kept": {"history_size": 100}}', "allowed_origins": "*"}

PATIENCE_MILLISECONDS = 40_000
"""A browser pauses for up to five seconds before it comes back, and starts slowly on a busy machine."""

LISTEN = """
(url) => {
    Object.assign(window, { got: [], missed: 0 });
    const source = new EventSource(url);
    source.onmessage = (event) => window.got.push(event.data);
    source.addEventListener("missed", () => (window.missed += 1));
}
"""

POLL = """
(url) => {
    Object.assign(window, { got: [], missed: 0 });
    const poll = async () => {
        let cursor = "";
        while (true) {
            try {
                const answer = await (await fetch(`${url}&wait=5${cursor}`)).json();
                window.got.push(...answer.messages.map((message) => message.text));
                window.missed += answer.missed;
                cursor = `&cursor=${answer.cursor}`;
            } catch {
                await new Promise((resolve) => setTimeout(resolve, 200));
            }
        }
    };
    poll();
}
"""


@pytest.fixture
def start(redis_server: RedisServer, prefix: str) -> Iterator[Start]:
    """Start a gateway over Redis, on a port that may be taken again."""
    started: list[GatewayProcess] = []

    def start(port: int) -> GatewayProcess:
        started.append(GatewayProcess(port=port, broker_url=redis_server.url, broker_prefix=prefix, **SETTINGS))
        started[-1].start_blocking()
        return started[-1]

    yield start
    end(started)


def publish(gateway: GatewayProcess, *texts: str) -> None:
    """Publish messages."""
    for text in texts:
        request = urllib.request.Request(
            f"http://127.0.0.1:{gateway.port}/publish/kept:a", text.encode(), {"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310  # of this machine
            assert answer.status == 200


@pytest.mark.parametrize(("script", "path"), [(LISTEN, "sse"), (POLL, "poll")], ids=["EventSource", "fetch"])
def test_a_page_goes_on_where_it_was_when_another_gateway_takes_over(
    browser: Browser, start: Start, script: str, path: str
) -> None:
    """Messages of the time when there was none come once, in order, before live ones."""
    other, port = start(0), free_port()
    gateway = start(port)
    with browser.visiting(f"http://127.0.0.1:{other.port}/healthz") as view:
        page = view.page
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.evaluate(script, f"http://127.0.0.1:{port}/{path}/kept:a?history=9")
        publish(other, "first")
        page.wait_for_function("window.got.at(-1) === 'first'")
        for number, ending in enumerate((signal.SIGKILL, signal.SIGTERM)):
            gateway.signal(ending)
            wait_until_blocking(lambda: not gateway.running, 10, "the gateway ends")  # noqa: B023  # waited for here
            publish(other, f"{number} while away", f"{number} later")
            gateway = start(port)
            page.wait_for_function(f"window.got.at(-1) === '{number} later'")
        publish(other, "live")
        page.wait_for_function("window.got.at(-1) === 'live'")
        expected = ["first", "0 while away", "0 later", "1 while away", "1 later", "live"]
        assert page.evaluate("[window.got, window.missed]") == [expected, 0]
