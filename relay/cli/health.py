"""`relay health`: is a gateway ready? For health checks; it starts fast and needs no other program."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from typing import Final

import click

from relay.cli.ca_file import CA_OPTION, trust
from relay.cli.configured_gateway import configured_gateway, reachable_netloc
from relay.cli.streams import confirm
from relay.sdk.gateway_address import AddressError, GatewayAddress
from relay.system_error import in_words

_MAX_BYTES: Final = 64 * 1024


@click.command("health")
@click.option("--url", metavar="URL", help="Gateway to ask; default: the one of RELAY_HOST and RELAY_PORT.")
@CA_OPTION
@click.option("--live", is_flag=True, help="Ask whether it is alive (/healthz), not whether it is ready (/readyz).")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 300),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the gateway may take to answer.",
)
def command(url: str | None, ca_file: str | None, live: bool, timeout: float) -> None:
    """Say whether a gateway is ready for clients.

    With RELAY_METRICS_PORT it asks that port. A gateway that drains is alive but not ready: send its clients
    elsewhere, and don't restart it.

    Without --url it asks the gateway on this machine, and doesn't check its certificate. With --url it checks it.

    A ready gateway may have notes for the operator; they go to standard error, too.

    Exit codes: 0 ready, or alive; 1 not, with the reasons on standard error; 2 wrong usage or invalid settings.
    """
    base = _configured_url() if url is None else url
    try:
        address = GatewayAddress.parse(base)
    except AddressError as error:
        raise click.UsageError(f"--url {base!r}: {error}") from None
    connection: http.client.HTTPConnection
    if address.scheme == "ws":
        connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    else:
        tls = trust(ca_file) if url is not None else _trust_any_certificate()
        connection = http.client.HTTPSConnection(address.host, address.port, timeout=timeout, context=tls)
    word = "alive" if live else "ready"
    reasons, notes = _ask(connection, address.path + ("/healthz" if live else "/readyz"))
    for note in notes:
        click.secho(f"relay: note: {note}", fg="yellow", err=True)
    if reasons:
        click.secho(f"relay: not {word}: {'; '.join(reasons)}", fg="red", err=True)
        raise click.exceptions.Exit(1)
    confirm(word)


def _configured_url() -> str:
    """Return the URL of the gateway with the settings of this environment."""
    netloc, settings = configured_gateway("--url http://host:port")
    if settings.metrics_port is not None:
        return f"http://{reachable_netloc(settings.host[0], settings.metrics_port)}"
    if settings.tls_client_ca is not None:
        raise click.UsageError(
            "RELAY_TLS_CLIENT_CA asks all clients for a certificate: set RELAY_METRICS_PORT for this"
        )
    return f"{'http' if settings.tls_cert is None else 'https'}://{netloc}"


def _trust_any_certificate() -> ssl.SSLContext:
    """Return what TLS needs with a gateway whose certificate isn't checked.

    Nothing secret is sent. And a gateway may show another certificate than the one in its files: new ones that can't
    be used are an alert, and no reason to take its clients away.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls


def _ask(connection: http.client.HTTPConnection, path: str) -> tuple[list[str], list[str]]:
    """Return why a gateway is not ready, or not alive, empty when it is; and its notes."""
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        return [f"{connection.host} port {connection.port}: {_explain(connection, error)}"], []
    finally:
        connection.close()
    answer = _parse(body)
    notes = _texts(answer.get("notes"))
    if response.status == 200:
        # Any web server may answer every path with a page.
        known = "ready" in answer or "status" in answer
        return [] if known else ["there is no relay at this address: a web server answers"], notes
    if response.status == 301 and response.headers.get("Location", "").startswith("https:"):
        return [f"{connection.host} port {connection.port}: speaks TLS: write wss:// or https://"], []
    reasons = _texts(answer.get("reasons", [answer["status"]] if "status" in answer else []))
    return reasons or [f"it answers with HTTP status {response.status}"], notes


def _parse(body: bytes) -> dict[str, object]:
    """Return the answer of `/readyz` or `/healthz`; empty when it is something else."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _texts(value: object) -> list[str]:
    """Return the texts of a list in an answer; empty when it is something else."""
    return [str(text) for text in value] if isinstance(value, list) else []


def _explain(connection: http.client.HTTPConnection, error: Exception) -> str:
    """Return why there was no answer; when another server is there, which one."""
    known = (TimeoutError, ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
    if not isinstance(error, known):
        # Only here: most health checks get an answer, and need none of this.
        import asyncio

        from relay.cli.other_server import identify

        tls = isinstance(connection, http.client.HTTPSConnection)
        if found := asyncio.run(identify(connection.host, connection.port, tls=tls)):
            return found
    return in_words(error)
