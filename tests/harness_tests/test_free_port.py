"""Ports for servers that the tests start."""

from __future__ import annotations

import socket

import pytest

from tests.harness import free_port as module
from tests.harness.free_port import free_port


def test_each_is_another_one_that_nobody_else_is_given() -> None:
    """Neither a client nor a server on any free port."""
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert max(ports) < 32_768


def test_a_taken_one_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(module, "_offsets", iter([port, port + 1]))
    monkeypatch.setattr(module, "FIRST", 0)
    monkeypatch.setattr(module, "_own", 0)
    monkeypatch.setattr(module, "BLOCK", 65_536)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        assert free_port() == port + 1
