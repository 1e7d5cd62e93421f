"""The OpenAPI document, held against what the gateway really does by a machine that tries everything."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from relay import Gateway, Settings
from relay.web.api.methods import METHODS
from relay.web.api.not_available import NOT_AVAILABLE
from relay.web.api.openapi import document
from tests.conftest import EmbeddedFactory
from tests.harness.http_response import get
from tests.harness.server_api import KEY

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# Not run: checks that want a 4xx for parameters that are wrong. As Centrifugo does, the API answers 200 with an error.

schema = schemathesis.openapi.from_dict(json.loads(document()))


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A gateway in a thread of its own: schemathesis calls it with blocking code."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> Gateway:
        gateway = Gateway(Settings(port=0, drain_seconds=0, api_keys=KEY, history_size=10, presence="on"))  # type: ignore[arg-type]  # text
        await gateway.start()
        return gateway

    gateway = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield f"http://127.0.0.1:{gateway.port}"
    asyncio.run_coroutine_threadsafe(gateway.drain(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@schema.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_gateway_does_what_its_document_says(case: schemathesis.Case[Any], base_url: str) -> None:
    case.call_and_validate(base_url=base_url, headers={"X-API-Key": KEY}, checks=CHECKS)


async def test_the_document_is_served_without_a_key(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY)
    response = await get(gateway.port, "/api/openapi.json")
    assert response.status == 200
    assert response.body == document()
    assert response.json["openapi"].startswith("3.1")


def test_every_method_is_described_and_nothing_else() -> None:
    paths = json.loads(document())["paths"]
    assert set(paths) == {f"/api/{name}" for name in (*METHODS, *NOT_AVAILABLE, "batch")}
