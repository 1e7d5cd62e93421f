"""What Prometheus itself says about the metrics, the alerts and its configuration."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.authenticators.signing import ec_signer, key_set
from tests.back_ends.http_server import HttpServer, answering
from tests.conftest import GatewayFactory
from tests.deploy.observed import ROOT, panels, rules
from tests.harness import guard
from tests.harness.certificate_authority import DAY, CertificateAuthority
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get
from tests.harness.prometheus import program, promtool
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

FOLDER = ROOT / "deploy/prometheus"


def test_the_alerts_are_valid() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(FOLDER / "alerts.yml"))


def test_the_alerts_fire_when_they_should() -> None:
    promtool("test", "rules", str(FOLDER / "alerts.test.yml"))


def test_the_configuration_is_valid() -> None:
    assert "SUCCESS" in promtool("check", "config", str(FOLDER / "prometheus.yml"))


async def test_the_metrics_follow_the_conventions(gateways: GatewayFactory, redis_server: RedisServer) -> None:
    (gateway,) = await gateways(1, broker_url=redis_server.url)
    page = await get(gateway.port, "/metrics")
    await asyncio.to_thread(promtool, "check", "metrics", given=page.body)


@contextmanager
def prometheus(folder: Path, configuration: dict[str, Any], port: int) -> Iterator[None]:
    """Run a Prometheus server on a port of 127.0.0.1."""
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    guard.watch(process.pid)
    try:
        yield
    finally:
        process.kill()
        process.wait()
        guard.unwatch(process.pid)
        print((folder / "log").read_text())  # noqa: T201  # shown when the test fails


class Api:
    """What a Prometheus server answers.

    Args:
        port: of 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    async def ask(self, what: str, **parameters: str) -> Any:
        """Return the data of an answer; None while the server isn't there."""
        return await asyncio.to_thread(self._ask, f"{what}?{urlencode(parameters)}")

    def _ask(self, target: str) -> Any:
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/api/v1/{target}", timeout=10) as response:
                answer = json.load(response)
        except OSError:
            return None
        assert answer["status"] == "success", answer
        return answer["data"]

    async def targets_up(self) -> set[str]:
        """Return the addresses that were scraped without an error."""
        found = await self.ask("targets")
        return {target["labels"]["instance"] for target in (found or {}).get("activeTargets", []) if _is_up(target)}

    async def evaluated(self) -> list[dict[str, Any]]:
        """Return the alerts that were evaluated, whatever came of it."""
        found = await self.ask("rules")
        every = [rule for group in (found or {}).get("groups", []) for rule in group["rules"]]
        return [rule for rule in every if rule["health"] != "unknown"]


def _is_up(target: dict[str, Any]) -> bool:
    return bool(target["health"] == "up")


async def test_a_real_prometheus_sees_gateways_alerts_and_every_panel(
    gateways: GatewayFactory, redis_server: RedisServer, certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    """Two gateways with traffic: both are up, all alerts are evaluated and silent, and no panel is empty.

    One of them speaks TLS, and one has an issuer of tokens.
    """
    program("prometheus")
    signer, port = ec_signer(), free_port()
    issuer = HttpServer(answering(200, key_set(signer)))
    await issuer.start()
    given = {"broker_url": redis_server.url}
    certificate = certificate_authority.issue("for a month", ends=30 * DAY).settings()
    metrics_port = free_port()
    (secure,) = await gateways(1, certificate_authority, **given, **certificate, metrics_port=metrics_port)
    pair = [secure, *await gateways(1, **given, auth="jwt", jwks_url=issuer.url)]
    configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    configuration["global"] |= {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    configuration["rule_files"] = [str(FOLDER / "alerts.yml")]
    relay, itself = configuration["scrape_configs"]
    # No name server here knows `gateway`.
    assert relay.pop("dns_sd_configs")
    addresses = {f"127.0.0.1:{metrics_port}", f"127.0.0.1:{pair[1].port}"}
    relay["static_configs"] = [{"targets": sorted(addresses)}]
    itself["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    api = Api(port)
    urls = [f"{gateway.url}/ws/a?token={signer.token()}" for gateway in pair for _ in range(2)]
    async with issuer, connected(*urls) as clients:
        with prometheus(tmp_path, configuration, port):
            await wait_until(lambda: _contains(api, addresses), 60)
            for count in range(1, 6):
                await clients[0].send("hello")
                await wait_until(lambda count=count: _has_scraped(api, "relay_messages_received_total", count), 60)
            await wait_until(lambda: _all_evaluated(api), 60)
            evaluated = await api.evaluated()
            assert [rule["name"] for rule in evaluated if rule["health"] != "ok"] == []
            assert [rule["name"] for rule in evaluated if rule["state"] == "firing"] == []
            for panel in panels():
                for target in panel["targets"]:
                    query = target["expr"].replace("$instance", ".+").replace("$__rate_interval", "1m")
                    assert (await api.ask("query", query=query))["result"], f"{panel['title']}: {query}"


async def _contains(api: Api, addresses: set[str]) -> bool:
    return addresses <= await api.targets_up()


async def _has_scraped(api: Api, metric: str, least: int) -> bool:
    found = await api.ask("query", query=f"sum({metric})")
    return any(float(sample["value"][1]) >= least for sample in (found or {}).get("result", []))


async def _all_evaluated(api: Api) -> bool:
    return len(await api.evaluated()) == len(rules())
