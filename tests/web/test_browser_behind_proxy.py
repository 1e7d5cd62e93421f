"""A browser that speaks HTTP/2 to a balancer, which speaks HTTP/1.1 to gateways and keeps those connections."""

from __future__ import annotations

from tests.harness.browser import Browser
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until_blocking
from tests.harness.gateway_process import GatewayProcess
from tests.harness.haproxy import HAProxy

ASK = """
    async () => {
        for (let number = 0; number < 5; number++) {
            const answer = await fetch("/publish/a", {method: "POST", body: "x"});
            if (answer.status !== 200) return `status ${answer.status}`;
        }
        const version = performance.getEntriesByType("navigation")[0].nextHopProtocol;
        const socket = new WebSocket(`wss://${location.host}/ws/a?echo=1`);
        const heard = await new Promise((resolve, reject) => {
            socket.onopen = () => socket.send("hello");
            socket.onmessage = (event) => resolve(event.data);
            socket.onerror = () => reject(new Error("no WebSocket"));
        });
        socket.close();
        return `${version} ${heard}`;
    }
"""
"""What a page does that publishes, and then listens."""


def test_a_page_publishes_and_opens_websockets_over_http_2(
    browser: Browser, pair: list[GatewayProcess], certificate_authority: CertificateAuthority
) -> None:
    with (
        HAProxy(*(gateway.port for gateway in pair), authority=certificate_authority) as proxy,
        browser.visiting(f"https://127.0.0.1:{proxy.port}/readyz") as view,
    ):

        def well() -> bool:
            answer = view.page.reload()
            return answer is not None and answer.ok

        wait_until_blocking(well, what="HAProxy knows that its gateways are well")
        for _ in range(6):
            assert view.page.evaluate(ASK) == "h2 hello"
