"""`relay health`: is a gateway ready? For health checks of containers; starts fast and needs no other program."""

from __future__ import annotations

import http.client
import json
from typing import Final
from urllib.parse import urlsplit

import click

_CONNECTIONS: Final = {
    "http": http.client.HTTPConnection,
    "ws": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
    "wss": http.client.HTTPSConnection,
}
_MOST_BYTES: Final = 64 * 1024


@click.command("health")
@click.option("--url", metavar="URL", help="Gateway to ask; default: the one of RELAY_HOST and RELAY_PORT.")
@click.option("--live", is_flag=True, help="Ask whether it is alive (/healthz), not whether it is ready (/readyz).")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 300),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take to answer.",
)
def command(url: str | None, live: bool, timeout: float) -> None:
    """Tell whether a gateway is ready for clients.

    With RELAY_METRICS_PORT that port is asked. A gateway that drains is alive and not ready: take clients away from
    it, and don't restart it.

    Exit codes: 0 ready, or alive; 1 not, with the reasons on standard error; 2 wrong usage or settings.
    """
    base = _own_url() if url is None else url
    try:
        parts = urlsplit(base)
        connection = _CONNECTIONS[parts.scheme](parts.hostname or "", parts.port, timeout=timeout)
    except (KeyError, ValueError, http.client.InvalidURL):
        connection = None
    if connection is None or not parts.hostname or parts.query or parts.fragment:
        raise click.UsageError(f"--url {base!r}: must look like http://host:8000")
    word = "alive" if live else "ready"
    reasons = _reasons(connection, parts.path.rstrip("/") + ("/healthz" if live else "/readyz"))
    if reasons:
        click.secho(f"relay: not {word}: {'; '.join(reasons)}", fg="red", err=True)
        raise click.exceptions.Exit(1)
    click.echo(word)


def _own_url() -> str:
    """Return the URL of the gateway with the settings of this environment."""
    # Only here: reading settings takes longer than all the rest.
    from relay.cli.own_gateway import own_gateway, place

    address, settings = own_gateway("--url http://host:port")
    if settings.metrics_port is not None:
        address = place(settings.host[0], settings.metrics_port)
    return f"http://{address}"


def _reasons(connection: http.client.HTTPConnection, path: str) -> list[str]:
    """Return why a gateway is not well; empty when it is."""
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        # The system's own words, without its number.
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return [f"{connection.host} port {connection.port}: {why}"]
    finally:
        connection.close()
    return [] if response.status == 200 else _told(body) or [f"it answers with HTTP status {response.status}"]


def _told(body: bytes) -> list[str]:
    """Return the reasons that a gateway gives."""
    try:
        answer = json.loads(body)
    except ValueError:
        return []
    if not isinstance(answer, dict):
        return []
    reasons = answer.get("reasons", [answer["status"]] if "status" in answer else [])
    return [str(reason) for reason in reasons] if isinstance(reasons, list) else []
