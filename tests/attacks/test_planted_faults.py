"""Gateways with faults that attacks bring out don't pass, nor does an attack that does nothing."""

from __future__ import annotations

import pytest

from tests.attacks.attacker import Wire
from tests.attacks.catalogue import ATTACKS, Attack
from tests.attacks.siege import besiege
from tests.attacks.verdict import Judgement, Least, Outcome
from tests.harness.gateway_process import GatewayProcess, Setting

SPAN_SECONDS = 0.5

pytestmark = pytest.mark.timeout(300)  # a whole siege, also on a busy machine


def besiege_faulty(faults: str) -> Outcome:
    """Let clients shake hands with a gateway with faults."""

    class Faulty(GatewayProcess):
        command = ("-m", "tests.attacks.faulty_relay", faults)

    def launch(settings: dict[str, Setting]) -> GatewayProcess:
        # Messages are lost between hub and client, where the native fan-out goes another way.
        return Faulty(**settings | {"fanout": "python"})

    return besiege(ATTACKS["handshakes"], SPAN_SECONDS, launch=launch)


async def do_nothing(port: int) -> None:
    """Connect, and go."""
    async with Wire(port):
        pass


def test_a_gateway_that_loses_messages_fails() -> None:
    verdict = besiege_faulty("lose").verdict
    assert verdict.judgement is Judgement.FAILED
    assert any("hears" in reason or "missing" in reason for reason in verdict.reasons)


def test_a_gateway_that_an_attack_delays_and_that_keeps_memory_fails_for_both() -> None:
    outcome = besiege_faulty("delay,keep")
    assert not outcome.faults
    assert outcome.verdict.judgement is Judgement.FAILED
    reasons = "; ".join(outcome.verdict.reasons)
    assert "memory stays at" in reasons
    assert "p99 is" in reasons  # or, on a machine that is too noisy, why that can't be told


def test_an_attack_that_does_too_little_is_void() -> None:
    verdict = besiege(Attack(do_nothing, 1, Least(1, bytes=1000), pause=0.1), SPAN_SECONDS).verdict
    assert verdict.judgement is Judgement.VOID
    assert any("did too little: 0 bytes" in reason for reason in verdict.reasons)
