"""The hook for React of docs/guide.md, with a stand-in for React."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Route, expect

from tests.docs.relay_of_site import RelayOfSite
from tests.docs.site import EXAMPLES, Site
from tests.harness.browser import Browser

expect.set_options(timeout=60_000)

STAND_IN = Path(__file__).parent / "stand_in"


COMPONENT = """
    <!doctype html>
    <p id="state"></p>
    <p id="heard"></p>
    <script type="importmap">{"imports": {"react": "/stand-in/react.js"}}</script>
    <script type="module">
      import { render } from "react";
      import { useChannel } from "/stand-in/use-channel.js";

      const heard = [];
      let renders = 0;
      window.show = (channel) =>
        render(() => {
          const number = ++renders; // a render later the component hears with another function
          const onMessage = (text) => heard.push(`${text} in ${number}`);
          const { state, send } = useChannel(`/ws/${channel}?echo=1`, { onMessage });
          document.querySelector("#state").textContent = `${channel} ${state.name} ${renders}`;
          window.send = send;
        });
      window.heard = heard;
      window.again = () => render();
      show("one");
    </script>
"""
"""A page whose component uses the hook; it calls what it hears by the number of its render."""


def test_the_hook_for_react(browser: Browser) -> None:
    """One connection for all renders, until the channel changes; the newest function hears."""
    site = Site(None)
    files = {
        "": ("text/html", COMPONENT),
        "react.js": ("text/javascript", (STAND_IN / "react.js").read_text()),
        "use-channel.js": ("text/javascript", site.here((EXAMPLES / "use-channel.js").read_text())),
    }

    def answer(route: Route) -> None:
        kind, text = files[route.request.url.rpartition("/")[2]]
        route.fulfill(body=text, content_type=kind)

    with RelayOfSite(site, {}), browser.visiting(site.here("http://localhost:8000/healthz")) as view:
        page = view.page
        page.route("**/stand-in/*", answer)
        page.goto(site.here("http://localhost:8000/stand-in/"))
        state = page.locator("#state")
        expect(state).to_contain_text("one open")
        page.evaluate("again()")
        number = int(state.inner_text().split()[-1])
        assert page.evaluate("send('hello')") is None
        page.wait_for_function("heard.length === 1")
        assert page.evaluate("heard") == [f"hello in {number}"]
        page.evaluate("show('two')")
        expect(state).to_contain_text("two open")
        page.evaluate("send('there')")
        page.wait_for_function("heard.length === 2")
        sockets = [url for url in view.requests if url.startswith("ws")]
        assert sockets == [site.here(f"ws://localhost:8000/ws/{channel}?echo=1") for channel in ("one", "two")]
