"""Gateways with TLS inside the test's event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest_asyncio

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.tls_socket import TRUSTED, trust_port

SecureFactory = Callable[..., Coroutine[Any, Any, Gateway]]


@pytest_asyncio.fixture
async def secure(
    embedded: EmbeddedFactory, certificate_authority: CertificateAuthority
) -> AsyncIterator[SecureFactory]:
    """Start a gateway: `await secure(**settings)`; clients of the harness speak TLS with it."""
    ports = []

    async def start(**settings: Any) -> Gateway:
        (gateway,) = await embedded(1, **{**certificate_authority.server.settings(), **settings})
        trust_port(gateway.port, certificate_authority)
        ports.append(gateway.port)
        return gateway

    yield start
    for port in ports:
        del TRUSTED[port]
