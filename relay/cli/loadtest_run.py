"""Runs `relay loadtest` once its options are parsed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from relay.cli.loadtest_plan import plan_from
from relay.cli.other_server import identify
from relay.errors import RelayError
from relay.loadtest.generator.limits import (
    ConnectionLoad,
    LimitError,
    SourceAddressError,
    raise_descriptor_limit,
    source_addresses,
)
from relay.loadtest.generator.load_worker import event_loop
from relay.loadtest.plan.plan import Plan, Trust
from relay.loadtest.plan.server_address import ServerAddress, resolve
from relay.loadtest.report.summary import summary
from relay.loadtest.result.result import Result
from relay.loadtest.result.threshold import Threshold
from relay.loadtest.run.conditions import Conditions
from relay.loadtest.run.coordinator import Coordinator
from relay.loadtest.run.history_probe import check_history
from relay.loadtest.run.live_screen import LiveScreen
from relay.loadtest.run.result_builder import build_result
from relay.loadtest.run.run_state import RunState
from relay.loadtest.target.observer import Observer
from relay.loadtest.target.process_tree import ProcessTreeError
from relay.loadtest.target.redis_meter import RedisMeterError
from relay.loadtest.target.stack import Stack
from relay.loadtest.units.formatting import share
from relay.system_error import in_words

PASSED: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

_HISTORY: Final = {"RELAY_HISTORY_SIZE": "10000", "RELAY_HISTORY_BYTES": "16777216"}
"""What gateways of its own keep of each channel, so that clients can resume."""

STOLEN: Final = 0.05
"""Share of processor time stolen by the host above which figures can't be compared."""


def run_load_test(urls: tuple[str, ...], gateways: int, thresholds: list[Threshold], options: dict[str, Any]) -> int:
    """Run a load test and return the exit code.

    Args:
        urls: URLs of the servers; empty: gateways are started.
        gateways: number of gateways to start.
        thresholds: the thresholds that the user set.
        options: options of the command; None for each that was not given.
    """
    console = Console(stderr=True)
    json_file, report_file = options.pop("json_file"), options.pop("report_file")
    pids, redis_url = options.pop("pids"), options.pop("redis_url")
    try:
        for file in filter(None, (json_file, report_file)):
            _check_writable(file)
        plan = plan_from(urls, options)
        with ExitStack() as exits:
            named = {f"process {pid}": pid for pid in pids}
            settings: dict[str, str] = {}
            ca_file: str | None = None
            if gateways:
                from relay.cli.options import load_settings

                own = load_settings({})
                ca_file = own.broker_ca_file
                raise_descriptor_limit(plan.clients + plan.publishers, gateways, "--gateways")
                stack = exits.enter_context(Stack(gateways, own.broker_url, _HISTORY if plan.resume else {}))
                # The certificate is for the name that clients call the gateways by, and here it is an address.
                trust = plan.trust if own.tls_cert is None else Trust(ca_file=own.tls_cert, any_name=True)
                plan = msgspec.structs.replace(plan, urls=tuple(stack.urls), trust=trust)
                named, redis_url, settings = stack.pids, stack.redis_url, stack.settings
            addresses = _resolve_all(plan)
            plan = _within_limits(plan, addresses)
            conditions = Conditions(plan, ["relay", *sys.argv[1:]], event_loop(), settings)
            run = random.getrandbits(24)
            started = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
            observer = Observer(named, redis_url, ca_file)
            state = asyncio.run(_run(plan, run, addresses, observer, console))
            result = build_result(state, observer, f"{run:06x}", started, conditions.table(), thresholds)
            if not result.connects.made:
                result.verdict.extend(_other_servers(plan, addresses))
            _tell_conditions(result, conditions)
        if gateways:
            result.verdict.extend(stack.deaths)
    except (LimitError, SourceAddressError, ProcessTreeError, RedisMeterError) as error:
        click.secho(f"relay: {error}", fg="red", err=True)
        return USAGE
    except (RelayError, OSError) as error:
        click.secho(f"relay: {in_words(error)}", fg="red", err=True)
        return FAILED
    Console().print(summary(result))
    try:
        _write(result, json_file, report_file, console)
    except OSError as error:
        click.secho(f"relay: {in_words(error)}", fg="red", err=True)
        return FAILED
    if result.interrupted:
        return INTERRUPTED
    return FAILED if result.verdict else PASSED


async def _run(plan: Plan, run: int, addresses: list[ServerAddress], observer: Observer, console: Console) -> RunState:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    if plan.resume:
        await check_history(plan, run, addresses)
    with LiveScreen(console) as screen:
        coordinator = Coordinator(plan, run, addresses, observer, screen.show)

        def interrupt() -> None:
            """End the run early at the first signal, at once at the second."""
            if coordinator.state.interrupted:
                task.cancel()
            coordinator.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        async with observer:
            try:
                await coordinator.run()
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
    return coordinator.state


def _tell_conditions(result: Result, conditions: Conditions) -> None:
    """Add to a result which conditions are defaults, and a warning when the machine wasn't this program's alone."""
    result.defaults = conditions.defaults
    if (stolen := conditions.stolen_share() or 0.0) > STOLEN:
        result.generator.warnings.append(f"the host took {share(stolen, 2)} of this machine's processors away")


def _other_servers(plan: Plan, addresses: list[ServerAddress]) -> list[str]:
    """Return one line for each server that is no gateway and says what it is instead."""
    found = []
    for url, address in zip(plan.urls, addresses, strict=True):
        host, port = address.address[:2]
        if server := asyncio.run(identify(host, port, tls=address.tls)):
            found.append(f"{url} {server}")
    return found


def _resolve_all(plan: Plan) -> list[ServerAddress]:
    """Return the addresses of the plan's URLs."""
    found = []
    for url in plan.urls:
        try:
            found.append(resolve(url))
        except (OSError, UnicodeError) as error:
            raise click.BadParameter(f"{url}: {in_words(error)}", param_hint="URL") from None
    return found


def _within_limits(plan: Plan, addresses: list[ServerAddress]) -> Plan:
    """Raise this machine's limits as far as needed, and choose the source addresses.

    Raises:
        LimitError, SourceAddressError: this machine doesn't allow the run.
    """
    connections = plan.clients + plan.publishers
    raise_descriptor_limit(connections, plan.workers)
    each = -(-connections // len(addresses))
    loads = [ConnectionLoad(address.address[0], address.address[1], each) for address in addresses]
    return msgspec.structs.replace(plan, source_addresses=source_addresses(loads, plan.source_addresses))


def _check_writable(file: Path) -> None:
    """Check before the run that a file can be written.

    Raises:
        OSError: the file can't be written.
    """
    if not file.parent.is_dir():
        raise click.UsageError(f"{file}: there is no folder {file.parent}")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise click.UsageError(f"{file}: may not be written")


def _write(result: Result, json_file: Path | None, report_file: Path | None, console: Console) -> None:
    if json_file is not None:
        json_file.write_bytes(msgspec.json.encode(result))
        console.print(f"result: {json_file}", highlight=False, soft_wrap=True)
    if report_file is not None:
        from relay.loadtest.report.page import write_report

        write_report(result, report_file)
        console.print(f"report: {report_file}", highlight=False, soft_wrap=True)
