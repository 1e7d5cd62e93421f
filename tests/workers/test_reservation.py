"""A port that is reserved for the workers that share it."""

from __future__ import annotations

import errno
import socket
from contextlib import closing

import pytest

from relay.workers.reservation import Reservation
from tests.harness.free_port import free_port

HERE = [(int(socket.AF_INET), "127.0.0.1")]


def listen(port: int, *, shared: bool = False) -> socket.socket:
    """Listen as any server does."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind(("127.0.0.1", port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def test_only_sockets_that_share_the_port_get_in() -> None:
    """Whether one of them listens at the moment or not."""
    with Reservation(HERE, free_port()) as reserved:
        assert reserved.port
        for _ in range(2):
            for attempt in (lambda: listen(reserved.port), lambda: Reservation(HERE, reserved.port)):
                with pytest.raises(OSError, match="in use") as caught:
                    attempt()
                assert caught.value.errno == errno.EADDRINUSE
            with closing(listen(reserved.port, shared=True)), closing(listen(reserved.port, shared=True)):
                with pytest.raises(OSError, match="in use"):
                    listen(reserved.port)
                with pytest.raises(OSError, match="in use"):
                    Reservation(HERE, reserved.port)
                with socket.create_connection(("127.0.0.1", reserved.port)):
                    pass
    listen(reserved.port).close()


def test_no_client_is_accepted_while_no_worker_listens() -> None:
    """A client would wait for an answer that never comes."""
    with Reservation(HERE, 0) as reserved, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", reserved.port))


@pytest.mark.parametrize("shared", [False, True])
def test_a_taken_port_is_refused(shared: bool) -> None:
    """Also when the other program would share it."""
    with closing(listen(0, shared=shared)) as other, pytest.raises(OSError, match="in use"):
        Reservation(HERE, other.getsockname()[1])


def test_connections_of_an_earlier_run_do_not_matter() -> None:
    """The side that closes first keeps a connection in TIME_WAIT for a minute."""
    with closing(listen(free_port())) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    with Reservation(HERE, port) as reserved:
        assert reserved.port == port


def test_all_addresses_have_the_same_port() -> None:
    """And an address that can't be used releases the addresses before it."""
    with Reservation([*HERE, (int(socket.AF_INET), "127.0.0.2")], free_port()) as reserved:
        with pytest.raises(OSError, match="in use"):
            Reservation([(int(socket.AF_INET), "127.0.0.2")], reserved.port)
        port = reserved.port
    with pytest.raises(OSError, match="assign"):
        Reservation([*HERE, (int(socket.AF_INET), "192.0.2.1")], port)
    with Reservation(HERE, port):
        pass


def test_ipv6_does_not_take_the_port_of_ipv4() -> None:
    port = free_port()
    with Reservation([(int(socket.AF_INET6), "::1")], port) as reserved, Reservation(HERE, port) as other:
        assert other.port == reserved.port
