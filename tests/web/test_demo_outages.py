"""The playground and its client when connections break, as behind the balancer of a deployment."""

from __future__ import annotations

import re
import signal
import ssl
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.harness.balancer import Balancer
from tests.harness.browser import Browser
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until_blocking
from tests.harness.gateway_process import GatewayProcess
from tests.web.demo_page import WITHIN_MS, visit


@pytest.mark.parametrize(
    ("ending", "told"), [(signal.SIGKILL, "the connection broke (1006)"), (signal.SIGTERM, "code 1001, going away")]
)
def test_the_page_of_a_lost_gateway_comes_back_on_another(
    browser: Browser, own_pair: list[GatewayProcess], channel: str, ending: signal.Signals, told: str
) -> None:
    """By itself, through the same address; it says what happened, and talks on with those who stayed."""
    lost, staying = own_pair
    with (
        Balancer(lost.port, staying.port) as balancer,
        visit(browser, balancer.port, channel, name="Ada") as (ada, _),
        visit(browser, staying.port, channel, name="Bob") as (bob, _),
    ):
        ada.say("hello")
        bob.sees("Ada", "hello")
        lost.signal(ending)
        ada.sees(f"Connection lost: {told}")
        ada.sees("Back again; what was said meanwhile was missed")
        ada.is_open()
        bob.say("welcome back")
        ada.sees("Bob", "welcome back")
        ada.say("thank you")
        bob.sees("Ada", "thank you")
        # A second signal, of the fixture, would end it before it has said how it stopped.
        wait_until_blocking(lambda: not lost.running, WITHIN_MS / 1000, "the gateway ends")


def test_while_nobody_answers_it_says_when_it_tries_again(
    browser: Browser, pair: list[GatewayProcess], channel: str
) -> None:
    """One may also try at once, or stop it."""
    with Balancer(pair[0].port) as balancer, visit(browser, balancer.port, channel) as (client, _):
        balancer.prefer()
        balancer.cut()
        client.is_open("Reconnecting")
        client.sees("Connection lost")
        expect(client.status).to_have_text(
            re.compile(r"Reconnecting\s*the server can't be reached, or refuses the connection")
        )
        expect(client.part("countdown")).to_have_text(re.compile(r"in [0-5] s"))
        expect(client.button("Send")).to_be_disabled()
        client.button("Disconnect").click()
        client.is_open("Closed")
        expect(client.status).to_contain_text("by you")
        expect(client.button("Try now")).to_have_count(0)
        balancer.prefer(pair[1].port)
        client.button("Connect").click()
        client.is_open()


def test_a_silent_connection_is_given_up(browser: Browser, pair: list[GatewayProcess], channel: str) -> None:
    """When an own message doesn't come back; what happened to it is told as it is: unknown."""
    with Balancer(pair[0].port) as balancer, visit(browser, balancer.port, channel) as (client, view):
        view.page.clock.install()
        view.page.reload()
        client.is_open()
        balancer.fall_silent()
        client.say("into the void")
        expect(client.text).to_have_value("")
        view.page.clock.fast_forward(5_000)
        client.root.filter(has_text="1 message not back yet").wait_for(timeout=WITHIN_MS)
        client.is_open()
        view.page.clock.fast_forward(11_000)
        client.sees("Connection lost: the connection broke (1006, no answer)")
        client.sees("1 message of yours did not come back: perhaps not delivered")
        balancer.recover()
        client.sees("Back again")


def test_a_page_that_learns_nothing_of_its_server_says_so(browser: Browser, pair: list[GatewayProcess]) -> None:
    """As when the gateway goes between the page and its last file."""
    url = f"http://127.0.0.1:{pair[0].port}/"
    with browser.visiting(url) as view:
        view.page.route("**/server.json", lambda route: route.abort())
        view.page.reload()
        view.page.get_by_text("The server does not answer.").wait_for(timeout=WITHIN_MS)


def test_a_name_and_a_channel_survive_a_reload(browser: Browser, pair: list[GatewayProcess], channel: str) -> None:
    """The name in the browser, the channel in the address, which can be passed on."""
    with visit(browser, pair[0].port, channel, name="Ada") as (client, view):
        client.channel.fill(f"{channel}/b")
        client.channel.press("Enter")
        client.sees(f"Listening to {channel}/b")
        view.page.reload()
        client.sees(f"Listening to {channel}/b")
        expect(client.name).to_have_value("Ada")


def test_it_works_behind_a_proxy_that_speaks_tls(
    browser: Browser, pair: list[GatewayProcess], channel: str, certificate_authority: CertificateAuthority
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    with (
        Balancer(pair[0].port, tls=tls) as balancer,
        visit(browser, balancer.port, channel, tls=True) as (client, view),
    ):
        client.say("hello")
        client.sees("hello", "back in")
        origin = f"127.0.0.1:{balancer.port}"
        assert any(url.startswith(f"wss://{origin}/ws/{channel}?echo=1&user=guest-") for url in view.requests)
        assert {url.split("/")[2] for url in view.requests} == {origin}
        expect(view.page.locator("#snippets")).to_contain_text(f"https://{origin}/publish/{channel}")
        assert view.complaints == []


# The module that people copy, by itself. It is driven with a script of the test, which collects its states.


def client_states(page: Page, path: str, script: str) -> Any:
    """Run a script with a `client` for `path`, its `states` so far, and `until`, which waits for a condition."""
    return page.evaluate(
        """async ([path, script]) => {
          const { RelayClient } = await import("/client/relay-client.js");
          const states = [];
          const address = `ws://${location.host}${path}`;
          const onState = (state) => states.push({ ...state, told: Date.now() });
          const make = (options) => new RelayClient(address, { onState, ...options });
          const until = async (condition) => {
            while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
          };
          return await SCRIPT(make, states, until);
        }""".replace("SCRIPT", f"({script})"),
        [path, script],
    )


def test_the_client_waits_longer_each_time_by_a_random_part(
    browser: Browser, pair: list[GatewayProcess], channel: str
) -> None:
    """With chance fixed at a quarter: 125, 250, 500 ms; with chance at zero: never less than 100 ms."""
    with visit(browser, pair[0].port, channel) as (_, view):
        states = client_states(
            view.page,
            "/nowhere",
            """async (make, states, until) => {
              const client = make();
              Math.random = () => 0.25;
              client.start();
              await until(() => states.filter(({ name }) => name === "waiting").length === 3);
              Math.random = () => 0;
              await until(() => states.filter(({ name }) => name === "waiting").length === 4);
              client.stop();
              return states;
            }""",
        )
    names = [state["name"] for state in states]
    assert names == ["connecting", "waiting"] * 4 + ["closed"]
    waits = [state["until"] - state["told"] for state in states if state["name"] == "waiting"]
    # The clock's milliseconds may turn over between its two readings.
    assert waits == pytest.approx([125, 250, 500, 100], abs=20)
    assert not any(state["opened"] for state in states if state["name"] == "waiting")


def test_the_client_sends_only_while_it_is_open_and_within_its_bounds(
    browser: Browser, pair: list[GatewayProcess], channel: str
) -> None:
    """It says why it sent nothing; a message that the server refuses closes it for good."""
    with visit(browser, pair[0].port, channel) as (_, view):
        said = client_states(
            view.page,
            f"/ws/{channel}-b?echo=1",
            """async (make, states, until) => {
              const heard = [], said = [];
              const small = make({ maxMessageBytes: 6, onMessage: (data) => heard.push(data) });
              said.push(small.send("early"));
              small.start();
              said.push(small.send("early"));
              await until(() => small.state.name === "open");
              said.push(small.send("h\u00e9llo"), small.send("\u20ac\u20ac\u20ac"), small.send(new ArrayBuffer(2)));
              await until(() => heard.length === 2);
              said.push(heard[0], heard[1].byteLength);
              small.stop();
              said.push(small.send("late"), small.state.name);
              small.start();
              await until(() => small.state.name === "open");
              small.stop();
              const careless = make();
              careless.start();
              await until(() => careless.state.name === "open");
              said.push(careless.send(new ArrayBuffer(1_000_000)), careless.send(new ArrayBuffer(1_000_000)));
              await until(() => careless.state.name === "closed");
              said.push(careless.state.code);
              return said;
            }""",
        )
        assert said == [
            "not connected",
            "not connected",
            None,
            "9 bytes are more than the 6 that are allowed",
            None,
            "h\u00e9llo",
            2,
            "not connected",
            "closed",
            None,
            "too much is waiting to be sent",
            1009,
        ]
