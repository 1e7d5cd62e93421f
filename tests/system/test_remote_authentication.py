"""Gateways as processes, on both event loops, that ask a back end or an issuer about their clients."""

from __future__ import annotations

import ssl

import pytest
from aiohttp import web

from tests.authenticators.signing import ec_signer, key_set
from tests.back_ends.http_server import HttpServer, answering
from tests.cli.command import invoke_aside
from tests.conftest import GatewayFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until
from tests.harness.gateway_process import GatewayProcess
from tests.harness.http_response import HttpResponse, get
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

TOKEN = "canary-of-ann"


async def decide(request: web.Request) -> web.StreamResponse:
    """Let ann in, and bob not."""
    if request.headers.get("Authorization") == f"Bearer {TOKEN}":
        return web.json_response({"user": "ann", "channels": {"a": "rw"}})
    return web.json_response({"reason": "you are not ann"}, status=403)


async def ask(gateway: GatewayProcess, token: str, channel: str = "a") -> HttpResponse:
    """Poll with a token."""
    return await get(gateway.port, f"/poll/{channel}?wait=0", headers=[f"Authorization: Bearer {token}"])


async def test_a_back_end_decides_for_gateways_on_both_event_loops(gateways: GatewayFactory) -> None:
    """They leave nothing behind when they end, and their logs have no credential."""
    async with HttpServer(decide) as back_end:
        pair = await gateways(2, auth="http", auth_url=f"{back_end.url}?key={TOKEN}", log_level="debug")
        for gateway in pair:
            async with connected(f"{gateway.url}/ws/a?echo=1&token={TOKEN}") as (ann,):
                await ann.send("hello")
                assert await ann.receive(1) == ["hello"]
            assert (await ask(gateway, TOKEN, "b")).status == 403
            refused = await ask(gateway, "bob")
            assert (refused.status, refused.text) == (403, "you are not ann\n")
            metrics = await get(gateway.port, "/metrics")
            assert 'relay_auth_requests_total{outcome="allowed"} 2.0' in metrics.text
            back_end.handler = answering(500, text=TOKEN)
            assert (await ask(gateway, TOKEN)).status == 503
            back_end.handler = decide
            assert gateway.records("clients are identified")[0]["by"] == "a back end"
            assert await gateway.terminate() == 0
            assert gateway.records("the back end has not decided")[0]["failure"] == "status"
            assert TOKEN not in gateway.output


async def test_an_authority_of_ones_own_can_be_trusted(
    gateways: GatewayFactory, certificate_authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variable that OpenSSL reads, as other programs do; without it nobody is let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    async with HttpServer(decide, context) as back_end:
        (doubting,) = await gateways(1, auth="http", auth_url=back_end.url)
        assert (await ask(doubting, TOKEN)).status == 503
        assert await doubting.terminate() == 0
        assert "certificate isn't trusted" in doubting.records("the back end has not decided")[0]["detail"]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate_authority.ca_file))
        (trusting,) = await gateways(1, auth="http", auth_url=back_end.url)
        assert (await ask(trusting, TOKEN)).status == 200


async def test_workers_whose_issuer_is_down_are_ready_with_a_note(
    gateways: GatewayFactory, redis_server: RedisServer, prefix: str
) -> None:
    """Once, as all of them have it; and it goes away when the issuer comes."""
    signer = ec_signer()
    issuer = HttpServer(answering(200, key_set(signer)))
    (gateway,) = await gateways(
        1, broker_url=redis_server.url, broker_prefix=prefix, workers=2, auth="jwt", jwks_url=issuer.url
    )
    note = (
        f"the keys of the tokens' issuer can't be fetched from 127.0.0.1:{issuer.port}: Connection refused; "
        "there are none yet, so tokens are refused"
    )

    async def notes() -> list[str]:
        answer = await get(gateway.port, "/readyz")
        assert answer.status == 200
        return list(answer.json["notes"])

    async def all_have_it() -> bool:
        return await notes() == [note]

    await wait_until(all_have_it)
    assert (await ask(gateway, signer.token())).status == 503
    health = await invoke_aside("health", "--url", f"http://127.0.0.1:{gateway.port}")
    assert (health.code, health.output, health.errors) == (0, "ready\n", f"relay: note: {note}\n")
    async with issuer:

        async def no_note() -> bool:
            return await notes() == []

        await wait_until(no_note)
        for _ in range(4):  # whichever worker answers
            assert (await ask(gateway, signer.token())).status == 200
        shown = (await get(gateway.port, "/metrics")).text
        assert f'relay_issuer_up{{issuer="127.0.0.1:{issuer.port}"}} 1.0' in shown
    assert all("Connection refused" in record["detail"] for record in gateway.records("issuer keys not fetched"))
