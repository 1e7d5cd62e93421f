"""The circuit to a back end."""

from __future__ import annotations

from relay.back_ends.circuit import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Circuit


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Circuit:
    """Return a circuit to a server that has just failed for good."""
    circuit = Circuit(clock, spread=lambda: 1.0)
    for _ in range(FAILURES):
        assert circuit.let_through()
        circuit.failed()
    return circuit


def test_a_few_failures_are_no_outage() -> None:
    circuit = Circuit(Clock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            circuit.failed()
        assert circuit.let_through()
        circuit.succeeded()
    assert not circuit.open


def test_a_server_that_is_down_is_asked_once_in_a_pause() -> None:
    clock = Clock()
    circuit = broken(clock)
    assert circuit.open
    assert [circuit.let_through() for _ in range(3)] == [False] * 3
    clock.now += FIRST_PAUSE
    assert not circuit.blocked
    assert [circuit.let_through() for _ in range(3)] == [True, False, False]


def test_pauses_double_up_to_the_longest() -> None:
    clock = Clock()
    circuit = broken(clock)
    began_at, pauses = clock.now, []
    for _ in range(8):
        while not circuit.let_through():
            clock.now += 0.125
        circuit.failed()
        pauses.append(clock.now - began_at)
        began_at = clock.now
    assert pauses == [0.5, 1, 2, 4, *[LONGEST_PAUSE] * 4]


def test_requests_that_were_on_their_way_do_not_make_it_longer() -> None:
    clock = Clock()
    circuit = broken(clock)
    for _ in range(100):
        circuit.failed()
    clock.now += FIRST_PAUSE
    assert circuit.let_through()


def test_one_answer_ends_the_outage() -> None:
    clock = Clock()
    circuit = broken(clock)
    clock.now += FIRST_PAUSE
    assert circuit.let_through()
    circuit.succeeded()
    assert not circuit.open
    assert [circuit.let_through() for _ in range(3)] == [True] * 3
    for _ in range(FAILURES):
        circuit.failed()
    clock.now += FIRST_PAUSE
    assert circuit.let_through(), "the next outage begins with the first pause again"


def test_gateways_do_not_try_in_step() -> None:
    clock = Clock()
    circuits = [Circuit(clock) for _ in range(50)]
    for circuit in circuits:
        for _ in range(FAILURES):
            circuit.failed()
    clock.now += FIRST_PAUSE
    assert 0 < sum(circuit.blocked for circuit in circuits) < 50
