"""The costs of more gateways as a table and as a picture."""

from __future__ import annotations

from bench.scaling.deployment import Cost, Shape
from bench.scaling.page import markdown, picture

COSTS = [
    Cost(Shape(gateways, 200, 50), delivery_us, redis_us=100.0, deliveries=1000.0, p99_ms=3.0, lost=0, stolen=0.0)
    for gateways, delivery_us in ((1, 8.0), (1, 10.0), (1, 9.0), (2, 7.0))
]


def test_a_row_has_the_median_of_its_rounds_and_their_spread() -> None:
    table = markdown(COSTS).splitlines()
    assert len(table) == 4
    assert "9.00 µs (8.00 to 10.00)" in table[2]


def test_the_picture_has_its_axes_and_needs_nothing_else() -> None:
    svg = picture(COSTS, "Gateway CPU per delivery", lambda cost: cost.delivery_us)
    assert svg.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg
    assert "Gateways" in svg
    assert "Gateway CPU per delivery" in svg
