"""Judge gateways by Autobahn's suite: `make conformance`."""

from __future__ import annotations

import time
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

import click

from tests.conformance.deviations import CASES, DEVIATIONS
from tests.conformance.report import Result
from tests.conformance.suite import SETTINGS, run_suite
from tests.conformance.verdict import judge
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the suite.

    Args:
        name: what it is called, and the folder of its reports.
        event_loop: RELAY_EVENT_LOOP.
        redis: whether an echo comes over Redis, or at once.
    """

    name: str
    event_loop: str
    redis: bool

    def results(self, python: Path, folder: Path) -> dict[str, Result]:
        """Start a gateway, and its Redis if it needs one; return what Autobahn finds. Arguments as for `run_suite`."""
        with ExitStack() as stack:
            broker_url = stack.enter_context(RedisServer()).url if self.redis else "memory://"
            gateway = GatewayProcess(broker_url=broker_url, event_loop=self.event_loop, **SETTINGS)
            stack.callback(end, [gateway])
            gateway.start_blocking()
            return run_suite(python, gateway, folder / self.name)


RUNS: Final = (Run("uvloop-memory", "uvloop", redis=False), Run("asyncio-redis", "asyncio", redis=True))


@click.command(context_settings={"show_default": True})
@click.option(
    "--python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=".venv-autobahn/bin/python",
    help="Python 2.7 with autobahntestsuite.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="autobahn",
    help="Where Autobahn leaves its reports.",
)
def main(python: Path, folder: Path) -> None:
    """Run Autobahn's cases against a gateway, with each event loop and broker, and compare them with what is expected.

    The exit code is 1 when a case ended otherwise, be it better or worse, or when the gateway logged a traceback.
    """
    surprised = False
    for run in RUNS:
        began, log = time.monotonic(), StringIO()
        try:
            with redirect_stdout(log):  # the gateway's, which is shown when a test fails
                results = run.results(python.absolute(), folder.absolute())
        except BaseException:
            click.echo(log.getvalue())
            raise
        verdict = judge(results, DEVIATIONS, CASES)
        surprised |= not verdict
        counts = ", ".join(f"{count} {behavior}" for behavior, count in verdict.behaviors.most_common())
        click.echo(f"{run.name}: {len(results)} cases in {time.monotonic() - began:.0f} s: {counts}")
        for line in verdict.surprises:
            click.echo(f"  {line}")
        if not verdict:
            click.echo(f"  Autobahn says more in {folder / run.name / 'index.html'}")
    raise SystemExit(surprised)


if __name__ == "__main__":
    main()
