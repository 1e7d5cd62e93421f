"""`relay loadtest`: its options and arguments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from relay.cli.ca_file import CA_OPTION
from relay.cli.client_token import token_option
from relay.cli.extras import require_extra
from relay.cli.quantity import Quantity
from relay.loadtest.plan.plan import Hears, Over
from relay.loadtest.plan.profiles import PROFILES
from relay.loadtest.units.parsing import parse_duration, parse_rate, parse_share

FAILED: Final = 1
MODULES: Final = ("hdrh", "jinja2", "numpy", "psutil")


class Pattern(click.ParamType[str]):
    """A regular expression."""

    name = "regex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the pattern, or fail with the error in it."""
        try:
            re.compile(value.encode())
        except re.error as error:
            self.fail(f"{value!r} is no regular expression: {error}", param, ctx)
        return str(value)


class Pair(click.ParamType[tuple[str, str]]):
    """Two texts with a separator between them.

    Args:
        name: name of the type in the help.
        separator: text between the two.
    """

    def __init__(self, name: str, separator: str) -> None:
        self.name = name
        self._separator = separator

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return both, or fail with the form in which they are written."""
        left, found, right = str(value).partition(self._separator)
        if not found or not left.strip():
            self.fail(f"{value!r} must look like {self.name}", param, ctx)
        return left.strip(), right.strip()


class AnswerFrame(Pair):
    """A regular expression and the frame that answers each frame it matches."""

    def __init__(self) -> None:
        super().__init__("'REGEX => FRAME'", " => ")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return both, or fail with the error in them."""
        regex, frame = super().convert(value, param, ctx)
        return Pattern().convert(regex, param, ctx), frame


class Header(Pair):
    """Name and value of a header."""

    def __init__(self) -> None:
        super().__init__("'Name: value'", ":")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return both, or fail when a control character is in them: a line break would begin another header."""
        if not str(value).isprintable():
            self.fail(f"{value!r} must be printable", param, ctx)
        return super().convert(value, param, ctx)


class Namespace(click.ParamType[str]):
    """The name of a namespace of channels."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail with the form in which it is written."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", str(value)):
            self.fail(f"{value!r} must be 1 to 100 letters, digits, '-' and '_'", param, ctx)
        return str(value)


class ServerUrl(click.ParamType[str]):
    """The URL of a WebSocket server."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the URL with a ws or wss scheme, or fail with the form in which it is written."""
        schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
            self.fail(f"{value!r} must look like ws://host:8000 or wss://host", param, ctx)
        return str(parts._replace(scheme=schemes[parts.scheme], path=parts.path.rstrip("/")).geturl())


_COUNT: Final = click.IntRange(min=0)
_POSITIVE: Final = click.IntRange(min=1)
_SECONDS: Final = Quantity("duration", parse_duration)
_PROFILES: Final = "\b\nProfiles, which the options refine:\n" + "\n".join(
    f"  {name:<10} {profile.meaning}" for name, profile in PROFILES.items()
)


@click.command("loadtest", epilog=_PROFILES)
@click.argument("urls", metavar="[URL]...", nargs=-1, type=ServerUrl())
@click.option("--profile", type=click.Choice([*PROFILES]), help="Start from a ready profile; see below.")
@click.option("--gateways", type=_POSITIVE, metavar="N", help="Start N gateways here, and a Redis if they need one.")
@click.option("--clients", type=_COUNT, metavar="N", help="Connections that only listen.  [default: 100]")
@click.option("--channels", type=_POSITIVE, metavar="N", help="Channels to spread them over.  [default: 1]")
@click.option("--publishers", type=_COUNT, metavar="N", help="Connections that publish.  [default: 1; to resume, 4]")
@click.option(
    "--rate", type=Quantity("rate", parse_rate), help="Messages/s of all publishers.  [default: 100; to resume, 20]"
)
@click.option(
    "--size", type=click.IntRange(48, 1 << 20), metavar="BYTES", help="Bytes of each payload.  [default: 128]"
)
@click.option("--duration", type=_SECONDS, help="Measured time; in a sweep, of each step.  [default: 10s]")
@click.option("--warm-up", type=_SECONDS, help="Time with messages before that, not measured.  [default: 2s]")
@click.option("--settle", type=_SECONDS, help="Quiet time after the last connection.  [default: 1s]")
@click.option("--drain", type=_SECONDS, help="Longest wait for late messages.  [default: 10s]")
@click.option("--connect-rate", type=Quantity("rate", parse_rate, 0.1), help="Connections/s.  [default: 1000]")
@click.option("--connect-timeout", type=_SECONDS, help="Longest wait for one connection.  [default: 10s]")
@click.option("--churn", type=Quantity("rate", parse_rate), help="Sessions per second that end and begin again.")
@click.option("--slow", type=Quantity("share", parse_share), help="Share of the clients that stop reading.")
@click.option("--reconnect", is_flag=True, default=None, help="Clients that the server closes come back.")
@click.option("--resume", is_flag=True, default=None, help="Clients go on where they were, and must not miss messages.")
@click.option(
    "--over",
    type=click.Choice([over.value for over in Over]),
    help="How clients that resume listen: server-sent events, long polls, both.  [default: both]",
)
@click.option(
    "--reconnect-every",
    type=_SECONDS,
    metavar="DURATION",
    help="Clients that resume cut their connections after a random time of this average; 0s: never.  [default: 5s]",
)
@click.option("--namespace", type=Namespace(), help="Namespace of all channels.  [default: none]")
@click.option(
    "--hears",
    type=click.Choice([hears.value for hears in Hears]),
    help="What publishers hear of their channel: the messages of others, all, nothing.  [default: others]",
)
@click.option("--knee", type=_SECONDS, help="A step of a sweep fails if its p99 is larger.  [default: 100ms]")
@click.option("--workers", type=_POSITIVE, metavar="N", help="Processes.  [default: one less than there are cores]")
@click.option(
    "--source-address",
    "source_addresses",
    multiple=True,
    metavar="IP",
    help="Connect from this address; repeatable. Loopback needs none.",
)
@click.option(
    "--pid",
    "pids",
    multiple=True,
    type=_POSITIVE,
    metavar="PID",
    help="Watch CPU and memory of this server process; repeatable.",
)
@CA_OPTION
@click.option("--redis", "redis_url", metavar="URL", help="Watch this Redis.")
@click.option(
    "--fail-if",
    "thresholds",
    multiple=True,
    metavar="TEXT",
    help="Fail if a figure exceeds a limit, such as 'p99>50ms'; repeatable.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result as JSON.")
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the result as an HTML page.",
)
@click.option("--url-template", metavar="TEXT", help="URL of a channel.  [default: {url}/ws/{channel}]")
@click.option(
    "--subscribe-frame", multiple=True, metavar="TEXT", help="Frame that each connection sends first; repeatable."
)
@click.option("--publish-frame", metavar="TEXT", help="Frame around a payload.  [default: {payload}]")
@click.option(
    "--ready-frame", type=Pattern(), help="Frame that says that a client is subscribed.  [default: the handshake]"
)
@click.option("--answer-frame", multiple=True, type=AnswerFrame(), help="Answer frames that match; repeatable.")
@click.option("--ignore-frame", multiple=True, type=Pattern(), help="Expected frames without a message; repeatable.")
@token_option
@click.option("--header", multiple=True, type=Header(), help="Header of the opening request; repeatable.")
def command(urls: tuple[str, ...], gateways: int | None, **options: Any) -> None:
    """Put a load on gateways, or on other WebSocket servers, and check every delivery.

    Publishers follow a schedule, and latency counts from the moment when a message was due. Every client checks every
    message: lost, duplicated, out of order, foreign. Clients and publishers are spread over channels and URLs.

    With --resume, clients of server-sent events and long polls come back with the position of their last message
    whenever a connection ends, and the load test ends many. At the end it says how many messages were lost silently,
    how many sessions resumed, and of how many missed messages clients were told. The channels must have a history.

    Templates may contain {url} {channel} {client} {run} and {payload}; other braces stay unchanged.

    Exit codes: 0 all messages arrived once and in order, and no limit was exceeded; 1 otherwise; 2 wrong usage, or this
    machine allows too few files or ports; 130 Ctrl-C.
    """
    require_extra("loadtest", "relay loadtest", MODULES)
    from relay.cli.loadtest_run import run_load_test
    from relay.loadtest.result.threshold import Threshold, ThresholdError

    if bool(urls) == bool(gateways):
        raise click.UsageError("give the URL of at least one server, or --gateways N to start some; not both")
    if gateways and (options["pids"] or options["redis_url"]):
        raise click.UsageError("--gateways watches its own processes: leave out --pid and --redis")
    if gateways and options["ca_file"]:
        raise click.UsageError("--gateways knows the certificate of its gateways: leave out --ca")
    try:
        thresholds = [Threshold.parse(text) for text in options.pop("thresholds")]
    except ThresholdError as error:
        raise click.BadParameter(str(error), param_hint="--fail-if") from None
    raise click.exceptions.Exit(run_load_test(urls, gateways or 0, thresholds, options))
