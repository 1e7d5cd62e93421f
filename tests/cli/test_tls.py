"""The commands with gateways that speak TLS."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.command import Outcome, invoke, invoke_aside, run, running
from tests.conftest import EmbeddedFactory
from tests.gateway.secure import SecureFactory
from tests.gateway.secure import secure as secure
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.free_port import free_port
from tests.harness.websocket_client import connected


@pytest.fixture
def settings(certificate_authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a gateway with TLS on this machine."""
    server = certificate_authority.server
    monkeypatch.setenv("RELAY_TLS_CERT", str(server.certificate_file))
    monkeypatch.setenv("RELAY_TLS_KEY", str(server.key_file))
    return monkeypatch


# The gateway of this machine's settings.


async def test_health_asks_the_gateway_of_the_settings_by_tls(
    secure: SecureFactory, settings: pytest.MonkeyPatch, certificate_authority: CertificateAuthority
) -> None:
    """Whatever name its certificate is for, and also while the files hold one that can't be used."""
    elsewhere = certificate_authority.issue("elsewhere", "relay.example.com", ())
    gateway = await secure(**elsewhere.settings())
    settings.setenv("RELAY_PORT", str(gateway.port))
    assert await invoke_aside("health") == Outcome(0, "ready\n", "")
    settings.setenv("RELAY_TLS_CERT", os.devnull)
    assert await invoke_aside("health", "--live") == Outcome(0, "alive\n", "")


async def test_health_asks_the_port_for_metrics_without(
    secure: SecureFactory, settings: pytest.MonkeyPatch, certificate_authority: CertificateAuthority
) -> None:
    port = free_port()
    gateway = await secure(metrics_port=port, tls_client_ca=str(certificate_authority.ca_file))
    settings.setenv("RELAY_PORT", str(gateway.port))
    settings.setenv("RELAY_TLS_CLIENT_CA", str(certificate_authority.ca_file))
    outcome = await invoke_aside("health")
    assert outcome.code == 2
    assert "RELAY_TLS_CLIENT_CA asks all clients for a certificate: set RELAY_METRICS_PORT" in outcome.errors
    settings.setenv("RELAY_METRICS_PORT", str(port))
    assert await invoke_aside("health") == Outcome(0, "ready\n", "")


async def test_publish_and_subscribe_know_the_gateway_of_the_settings_by_its_certificate(
    secure: SecureFactory, settings: pytest.MonkeyPatch, certificate_authority: CertificateAuthority, channel: str
) -> None:
    """Not by its name, and nobody else's."""
    named = certificate_authority.issue("named", "relay.example.com", ())
    gateway = await secure(**named.settings())
    settings.setenv("RELAY_PORT", str(gateway.port))
    outcome = await run("publish", channel, "hello")
    assert outcome.code == 1
    assert f"not delivered to {channel}: wss://127.0.0.1:{gateway.port} can't be reached: its certificate isn't" in (
        outcome.errors
    )
    settings.setenv("RELAY_TLS_CERT", str(named.certificate_file))
    settings.delenv("RELAY_TLS_KEY")  # it may be for the gateway's eyes only
    assert await run("publish", channel, "hello") == Outcome(0, f"delivered by {gateway.url}\n", "")
    async with running("subscribe", channel, "--count", "1") as process:
        assert process.stderr is not None
        assert b"listening to wss://127.0.0.1:" in await process.stderr.readline()
        await gateway.publish(channel, "to the tail")
        assert (await process.communicate())[0] == b"to the tail\n"
    settings.setenv("RELAY_TLS_CERT", "/nowhere/cert.pem")
    outcome = await run("publish", channel, "hello")
    assert outcome.code == 2
    assert "RELAY_TLS_CERT: '/nowhere/cert.pem' can't be read: No such file or directory" in outcome.errors


# Any gateway.


async def test_authorities_are_those_of_the_system_or_the_one_that_is_given(
    secure: SecureFactory, certificate_authority: CertificateAuthority, channel: str
) -> None:
    gateway = await secure()
    ca = ("--ca", str(certificate_authority.ca_file))
    url = f"https://localhost:{gateway.port}"
    async with connected(f"{gateway.url}/ws/{channel}") as (listener,):
        for command, option in (("health",), "--url"), (("publish", channel, "hello"), "--gateway"):
            strange = await run(*command, option, url)
            assert strange.code == 1
            assert "its certificate isn't trusted: unable to get local issuer certificate" in strange.errors
            assert (await run(*command, option, url, *ca)).code == 0
            # The certificate itself will do as well.
            own = str(certificate_authority.certificate_file)
            assert (await run(*command, option, url, "--ca", own)).code == 0
        assert await listener.receive(2) == ["hello"] * 2


async def test_a_certificate_for_another_name_is_not_trusted(
    secure: SecureFactory, certificate_authority: CertificateAuthority
) -> None:
    gateway = await secure(**certificate_authority.issue("another", "relay.example.com", ()).settings())
    ca = ("--ca", str(certificate_authority.ca_file))
    outcome = await invoke_aside("health", "--url", f"https://localhost:{gateway.port}", *ca)
    assert outcome.code == 1
    assert "Hostname mismatch" in outcome.errors


def test_a_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for file, reason in ((empty, "holds no PEM certificate"), (tmp_path / "none", "No such file or directory")):
        outcome = invoke("health", "--url", "https://localhost:1", "--ca", str(file))
        assert outcome.exit_code == 2
        assert f"{str(file)!r}: {reason}" in outcome.stderr


async def test_a_plain_address_of_a_port_with_tls_is_explained(secure: SecureFactory, channel: str) -> None:
    gateway = await secure()
    keyed = ("publish", channel, "hello", "--idempotency-key", "k", "--gateway")
    for command in (("health", "--url"), ("publish", channel, "hello", "--gateway"), keyed):
        outcome = await run(*command, f"http://127.0.0.1:{gateway.port}")
        assert outcome.code == 1
        assert "speaks TLS: write wss:// or https://" in outcome.errors


# Its own settings.


@pytest.mark.parametrize("command", ["serve", "config"])
async def test_files_that_can_not_be_used_are_listed_with_all_wrong_settings(
    settings: pytest.MonkeyPatch, certificate_authority: CertificateAuthority, command: str
) -> None:
    other = certificate_authority.issue("other")
    outcome = await run(command, "--tls-key", str(other.key_file))
    assert outcome.code == 2
    assert outcome.errors == (
        "relay: 1 setting is wrong\n\n"
        "  RELAY_TLS_KEY\n"
        f"    given:    '{other.key_file}' (--tls-key)\n"
        "    allowed:  file: PEM: the key of RELAY_TLS_CERT, without a password "
        "(this one is not the key of the certificate)\n"
    )


def test_a_key_without_a_certificate_is_refused(certificate_authority: CertificateAuthority) -> None:
    for name in ("--tls-key", "--tls-client-ca"):
        outcome = invoke("config", name, str(certificate_authority.key_file))
        assert outcome.exit_code == 2
        assert "RELAY_TLS_CERT is not set" in outcome.stderr


async def test_other_commands_need_none_of_the_files(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    """They may not read the key; a gateway of another machine has another one anyway."""
    (gateway,) = await embedded(1)
    monkeypatch.setenv("RELAY_TLS_CERT", "/root/of/another/cert.pem")
    monkeypatch.setenv("RELAY_TLS_KEY", "/root/of/another/key.pem")
    assert (await invoke_aside("publish", channel, "hello", "--gateway", gateway.url)).code == 0


async def test_the_load_test_speaks_tls_with_the_gateways_that_it_starts(
    settings: pytest.MonkeyPatch, certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    """By the settings of its environment, with any certificate."""
    named = certificate_authority.issue("load", "relay.example.com", ())
    result = tmp_path / "result.json"
    options = ("--clients", "4", "--rate", "20", "--duration", "1s", "--warm-up", "1s", "--settle", "0s")
    outcome = await run(
        *("loadtest", "--gateways", "1", *options, "--json", str(result)),
        RELAY_TLS_CERT=named.certificate_file,
        RELAY_TLS_KEY=named.key_file,
    )
    assert outcome.code == 0, outcome
    assert json.loads(result.read_text())["connects"]["made"] == 5


async def test_the_load_test_trusts_the_authority_that_is_given(
    secure: SecureFactory, certificate_authority: CertificateAuthority
) -> None:
    gateway = await secure()
    url = f"wss://localhost:{gateway.port}"
    options = ("--clients", "4", "--rate", "20", "--duration", "1s", "--warm-up", "1s", "--settle", "0s")
    outcome = await run("loadtest", url, *options, "--ca", str(certificate_authority.ca_file))
    assert outcome.code == 0, outcome
    outcome = await run("loadtest", url, *options)
    assert outcome.code == 1
    assert "certificate: unable to get local issuer certificate" in outcome.output + outcome.errors
    refused = await run("loadtest", "--gateways", "1", "--ca", str(certificate_authority.ca_file))
    assert refused.code == 2
    assert "leave out --ca" in refused.errors
