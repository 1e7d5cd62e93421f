"""Whether the results of a run are those that are expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.conformance.deviations import Deviation
from tests.conformance.report import Result


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a run. It is true when everything was as expected.

    Args:
        behaviors: how many cases ended how.
        surprises: a line for each case that ended otherwise than expected, and for each that is missing.
    """

    behaviors: Counter[str]
    surprises: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.surprises


def judge(results: Mapping[str, Result], deviations: Iterable[Deviation], cases: Mapping[str, int]) -> Verdict:
    """Compare the results of a run with what is expected.

    Args:
        results: case → what came of it.
        deviations: the cases that don't end OK; all others have to.
        cases: group of cases → how many it has.
    """
    deviations = tuple(deviations)
    surprises = (*_missing(results, cases), *_unexpected(results, deviations), *_unused(results, deviations))
    return Verdict(Counter(result.behavior for result in results.values()), surprises)


def _missing(results: Mapping[str, Result], cases: Mapping[str, int]) -> Iterator[str]:
    found = Counter(case.partition(".")[0] for case in results)
    for group in sorted({*found, *cases}, key=int):
        if found[group] != cases.get(group, 0):
            yield f"group {group}: {found[group]} cases, expected {cases.get(group, 0)}"


def _unexpected(results: Mapping[str, Result], deviations: tuple[Deviation, ...]) -> Iterator[str]:
    for case in sorted(results, key=lambda case: [int(part) for part in case.split(".")]):
        result = results[case]
        deviation = next((one for one in deviations if one.covers(case)), None)
        if deviation is None:
            if (result.behavior, result.behavior_close) != ("OK", "OK"):
                yield f"case {case}: {result}; expected OK, close OK"
        elif not deviation.allows(result):
            yield f"case {case}: {result}; expected {deviation}"


def _unused(results: Mapping[str, Result], deviations: tuple[Deviation, ...]) -> Iterator[str]:
    for name in (name for deviation in deviations for name in deviation.cases):
        group, _, rest = name.partition(".")
        if name not in results and not (rest == "*" and any(case.startswith(f"{group}.") for case in results)):
            yield f"case {name}: expected, but there is no such case"
