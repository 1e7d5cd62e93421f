"""The costs as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from statistics import median

from relay.loadtest.report.drawing import WIDE, draw
from relay.loadtest.report.plot import Axis, Chart, Line, Plot
from relay.loadtest.report.scale import Linear

from .deployment import Cost, Shape


def rows(costs: Sequence[Cost]) -> list[Cost]:
    """Return one cost for each shape: the median of its rounds, with all losses and the most that was stolen."""
    shapes = sorted({cost.shape for cost in costs}, key=lambda shape: (shape.gateways, shape.clients))
    return [_middle(shape, [cost for cost in costs if cost.shape == shape]) for shape in shapes]


def _middle(shape: Shape, rounds: Sequence[Cost]) -> Cost:
    return Cost(
        shape=shape,
        delivery_us=median(cost.delivery_us for cost in rounds),
        redis_us=median(cost.redis_us for cost in rounds),
        deliveries=median(cost.deliveries for cost in rounds),
        p99_ms=median(cost.p99_ms for cost in rounds),
        lost=sum(cost.lost for cost in rounds),
        stolen=max(cost.stolen for cost in rounds),
    )


def markdown(costs: Sequence[Cost]) -> str:
    """Return a table, a row for each shape; each cost is followed by the spread of its rounds."""
    lines = [
        "| gateways | clients each | messages/s | deliveries/s | gateway CPU per delivery | deliveries per CPU-second "
        "| Redis CPU per message | p99 | lost | stolen |",
        "| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows(costs):
        rounds = [cost for cost in costs if cost.shape == row.shape]
        lines.append(
            f"| {row.shape.gateways} | {row.shape.clients:,} | {row.shape.rate:g} | {row.deliveries:,.0f} "
            f"| {row.delivery_us:.2f} µs {_spread([cost.delivery_us for cost in rounds])} "
            f"| {1e6 / row.delivery_us:,.0f} "
            f"| {row.redis_us:.1f} µs {_spread([cost.redis_us for cost in rounds])} | {row.p99_ms:.1f} ms | {row.lost} "
            f"| {row.stolen:.0%} |"
        )
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"({min(values):.2f} to {max(values):.2f})"


def picture(costs: Sequence[Cost], name: str, value: Callable[[Cost], float]) -> str:
    """Return a cost over the number of gateways as an SVG file that needs nothing else.

    Args:
        costs: of all rounds.
        name: what the cost is, for people.
        value: tells it, in µs.
    """
    points = [(float(row.shape.gateways), value(row)) for row in rows(costs)]
    plot = Plot(
        x=Axis(name="Gateways", scale=Linear([at for at, _ in points]), tick="{:g}".format, show="{:g}".format),
        y=Axis(name=name, scale=Linear([cost for _, cost in points]), tick="{:g} µs".format, show="{:.2f} µs".format),
        lines=[Line(name="median", points=points, style=0, dots=True)],
    )
    (svg,) = draw(Chart(name=name, note="", plots=[plot]), WIDE)
    style = files("relay.loadtest.report").joinpath("page.css").read_text()
    head, _, rest = str(svg).partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{rest}\n'
