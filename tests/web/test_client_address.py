"""Whose request it is; what proxies say is tested with whole gateways."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from relay.proxies.forwarded import TrustedProxies
from relay.web.client_address import client_address_middleware


async def test_a_client_that_has_left_before_its_request_is_looked_at_is_no_fault() -> None:
    answered: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        answered.append(request)
        return web.Response()

    request = make_mocked_request("GET", "/")
    request.protocol.transport = None
    await client_address_middleware(TrustedProxies())(request, answer)
    assert len(answered) == 1
