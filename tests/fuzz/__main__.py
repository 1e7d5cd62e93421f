"""Fuzz the whole byte path: python -m tests.fuzz."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import click

from tests.fuzz.case import Case, load, save
from tests.fuzz.grammar import TARGETS, Generator
from tests.fuzz.in_parsers import fuzz_parsers, replay_in_parser
from tests.fuzz.in_process import Result, fuzz, replay
from tests.fuzz.over_tcp import fuzz_over_tcp
from tests.fuzz.parsers import PARSERS
from tests.fuzz.variants import VARIANTS

TCP_SHARE = 0.25
"""Share of the time in which the inputs go over real sockets."""

PARSERS_SHARE = 0.15
"""Share of the time in which the pure parsers read inputs by themselves."""

PROGRESS_SECONDS = 10.0


@click.command(context_settings={"show_default": True})
@click.option("--seconds", type=float, help="How long; 60 if neither this nor --inputs is given.")
@click.option("--inputs", type=int, help="How many inputs, all of them in this process.")
@click.option("--parsers", is_flag=True, help="Let the pure parsers read inputs, without gateways.")
@click.option("--seed", type=int, help="Chooses the inputs; any without it.")
@click.option(
    "--target", "targets", multiple=True, type=click.Choice([*TARGETS, *PARSERS]), help="Only these; else all."
)
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("fuzz-failures"), help="Where failing inputs are saved."
)
@click.option("--replay", "file", type=click.Path(exists=True, path_type=Path), help="Try the inputs of a file again.")
def main(
    seconds: float | None,
    inputs: int | None,
    parsers: bool,
    seed: int | None,
    targets: Sequence[str],
    folder: Path,
    file: Path | None,
) -> None:
    """Send random and mutated bytes to gateways, and look whether they stay well. The exit code is 1 when not."""
    if file is not None:
        raise SystemExit(_replay(list(load(file))))
    seed = secrets.randbelow(2**32) if seed is None else seed
    click.echo(f"seed {seed}")
    wanted = [name for name in targets or TARGETS if name in TARGETS]
    names = [name for name in targets or PARSERS if name in PARSERS]
    if parsers or not wanted:
        if not names:
            raise click.UsageError(f"no parser is called {targets[0]}; there are {', '.join(PARSERS)}")
        going = _for_seconds(seconds or 60.0) if inputs is None else lambda tried: tried < inputs
        raise SystemExit(_in_parsers(names, going, folder, seed))
    generator = Generator(seed, wanted)
    if inputs is not None:
        raise SystemExit(_in_process(generator, lambda tried: tried < inputs, folder, seed))
    seconds = 60.0 if seconds is None else seconds
    share = PARSERS_SHARE if names else 0.0
    failed = bool(names) and _in_parsers(names, _for_seconds(seconds * share), folder, seed)
    failed = failed or _in_process(generator, _for_seconds(seconds * (1 - TCP_SHARE - share)), folder, seed)
    failed = failed or _over_tcp(generator, _for_seconds(seconds * TCP_SHARE), folder, seed)
    raise SystemExit(failed)


def _in_parsers(names: Sequence[str], going: Callable[[int], bool], folder: Path, seed: int) -> bool:
    began = time.monotonic()
    result = fuzz_parsers(seed, names, going, _progress(began))
    _report("in parsers", result.inputs, time.monotonic() - began)
    return _complain_of(result, folder / f"in-parsers-{seed}.json")


def _in_process(generator: Generator, going: Callable[[int], bool], folder: Path, seed: int) -> bool:
    began = time.monotonic()
    result = fuzz(generator, going, _progress(began))
    _report("in this process", result.inputs, time.monotonic() - began)
    return _complain_of(result, folder / f"in-process-{seed}.json")


def _over_tcp(generator: Generator, going: Callable[[int], bool], folder: Path, seed: int) -> bool:
    began = time.monotonic()
    with redirect_stdout(StringIO()):  # the gateways' logs, which are shown when a test fails
        result = asyncio.run(fuzz_over_tcp(generator, going))
    _report("over TCP", result.inputs, time.monotonic() - began)
    if not result.faults:
        return False
    _complain(result.faults, result.recent, folder / f"over-tcp-{seed}.json")
    return True


def _report(where: str, inputs: Counter[str], seconds: float) -> None:
    counts = ", ".join(f"{target} {inputs[target]:,}" for target in (*TARGETS, *PARSERS) if inputs[target])
    click.echo(f"{inputs.total():,} inputs {where}, {inputs.total() / seconds:,.0f}/s: {counts}")


def _progress(began: float) -> Callable[[int], None]:
    """Return what reports the number of inputs now and then."""
    reported = began

    def progress(tried: int) -> None:
        nonlocal reported
        if (now := time.monotonic()) > reported + PROGRESS_SECONDS:
            reported = now
            click.echo(f"{tried:,} inputs, {tried / (now - began):,.0f}/s")

    return progress


def _complain_of(result: Result, path: Path) -> bool:
    """Report a fault, and return whether there is one."""
    if result.fault is None:
        return False
    _complain([result.fault], result.cases, path)
    return True


def _complain(faults: Sequence[str], cases: Sequence[Case], path: Path) -> None:
    save(path, cases)
    for fault in faults[:10]:
        click.echo(f"FAULT {fault}")
    click.echo(f"{len(cases)} inputs bring it about, or are the last ones; again: python -m tests.fuzz --replay {path}")


def _replay(cases: Sequence[Case]) -> bool:
    failed = False
    for case in [case for case in cases if case.target in PARSERS]:
        if (fault := replay_in_parser(case)) is not None:
            click.echo(f"FAULT of the parser {case.target}: {fault}")
            failed = True
    others = [case for case in cases if case.target not in PARSERS]
    for number, variant in enumerate(VARIANTS if others else ()):
        if (fault := replay(others, number)) is not None:
            click.echo(f"FAULT of the gateway {variant.name!r}: {fault}")
            failed = True
    if not failed:
        click.echo(f"{len(cases)} inputs, no fault")
    return failed


def _for_seconds(seconds: float) -> Callable[[int], bool]:
    ends: list[float] = []

    def going(_tried: int) -> bool:
        if not ends:
            ends.append(time.monotonic() + seconds)
        return time.monotonic() < ends[0]

    return going


if __name__ == "__main__":
    main()
