"""What the client of the page does after each close code."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import expect
from websockets.sync.server import ServerConnection, serve

from relay.errors import comes_back
from tests.harness.browser import Browser
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.server_api import KEY
from tests.web.demo_page import WITHIN_MS, visit

FOLLOW = """async (address) => {
    const { RelayClient } = await import("/client/relay-client.js");
    return await new Promise((done) => {
        const client = new RelayClient(address, {
            onState: (state) => {
                if (state.name === "connecting" || state.name === "open") return;
                done([state.name, state.code]);
                client.stop();
            },
        });
        client.start();
    });
}"""


@contextmanager
def closing_server() -> Iterator[int]:
    """Run a server that closes each client with the code that its path names; yield its port."""

    def close(connection: ServerConnection) -> None:
        assert connection.request is not None
        connection.close(int(connection.request.path.removeprefix("/")), "because")

    with serve(close, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def test_it_comes_back_unless_it_is_kept_away(browser: Browser, pair: list[GatewayProcess]) -> None:
    """By the same rule as the table in docs/protocol.md; the codes that a back end chooses have it in their ranges."""
    codes = [1001, 1011, 1012, 1013, 3000, 3499, 4000, 4499, 1002, 1007, 1008, 1009, 3500, 3503, 3999, 4500, 4999]
    with closing_server() as port, browser.visiting(f"http://127.0.0.1:{pair[0].port}/healthz") as view:
        view.page.set_default_timeout(WITHIN_MS)
        for code in codes:
            expected = ["waiting" if comes_back(code) else "closed", code]
            assert view.page.evaluate(FOLLOW, f"ws://127.0.0.1:{port}/{code}") == expected
        rule = """async () => {
            const { comesBack } = await import("/client/relay-client.js");
            return Array.from({ length: 4000 }, (_, index) => comesBack(1000 + index));
        }"""
        assert view.page.evaluate(rule) == [comes_back(code) for code in range(1000, 5000)]


def test_the_page_says_that_a_back_end_keeps_it_away(browser: Browser) -> None:
    """And connects again only when a person asks for it."""
    gateway = GatewayProcess(api_keys=KEY, log_level="debug")
    try:
        gateway.start_blocking()
        with visit(browser, gateway.port, "lobby") as (client, _):
            for parameters, method, told in (
                ({}, "disconnect", "code 3503, force disconnect"),
                ({"channel": "lobby"}, "unsubscribe", "code 4500, unsubscribed"),
                ({"disconnect": {"code": 3999, "reason": "enough"}}, "disconnect", "code 3999, enough"),
            ):
                client.is_open()
                who = {"client": gateway.records("connected")[-1]["client"], **parameters}
                asked = urllib.request.Request(
                    f"http://127.0.0.1:{gateway.port}/api/{method}", json.dumps(who).encode(), {"X-API-Key": KEY}
                )
                with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310  # the gateway above
                    assert json.load(answer) == {"result": {}}
                client.sees(f"Closed: the server keeps it away ({told})")
                client.is_open("Closed")
                expect(client.button("Try now")).to_have_count(0)
                client.button("Connect").click()
            client.is_open()
    finally:
        end([gateway])
