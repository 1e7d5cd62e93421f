"""The horizontal axis that most charts share: the seconds of the run, with its phases and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from relay.loadtest.report.plot import Axis, Band, Mark
from relay.loadtest.report.scale import Time
from relay.loadtest.result.result import Phase, Result
from relay.loadtest.units import formatting as wording


@dataclass(frozen=True, kw_only=True)
class RunTime:
    """The run from its start to its end.

    Args:
        axis: of the seconds.
        bands: phases; those that aren't measured are shaded.
        marks: events.
    """

    axis: Axis
    bands: Sequence[Band]
    marks: Sequence[Mark]


def run_time(result: Result) -> RunTime:
    """Return the time axis of a run."""
    moments = [sample.moment for process in result.processes for sample in process.samples]
    end = max([*(moment.second + 1.0 for moment in result.moments), *moments], default=0.0)
    axis = Axis(name="Time since the start", scale=Time(end), mark=wording.clock, say=wording.clock)
    bands = []
    for phase, group in groupby(result.moments, key=lambda moment: moment.phase):
        seconds = [moment.second for moment in group]
        shaded = phase is not Phase.MEASURE
        bands.append(Band(start=seconds[0], end=seconds[-1] + 1.0, name=phase.value, shaded=shaded))
    marks = [] if result.storm is None else [Mark(place=result.storm.moment, name="storm")]
    return RunTime(axis=axis, bands=bands, marks=marks)
