"""Clients of which one message may ask for much: what is left of it is done in turns, between those of all others."""

from __future__ import annotations

import abc
from typing import cast

from relay.clients.client import Client
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import Disconnect, ProtocolError


class CommandTurns(Client):
    """The half of a client of several channels that lets its protocol go on."""

    __slots__ = ()

    @property
    def _due(self) -> bool:
        """Whether the protocol waits for a turn."""
        return cast(MultiplexedSession, self.session).due

    @property
    def _protocol_waits(self) -> bool:
        """Whether something that the client has sent is left to its protocol, before anything else is taken in."""
        return cast(MultiplexedSession, self.session).paused

    @abc.abstractmethod
    def count(self, messages: int) -> None:
        """Count what the client has sent as so many more messages."""

    @abc.abstractmethod
    def fail(self, disconnect: Disconnect) -> None:
        """Close a client that broke its protocol."""

    @abc.abstractmethod
    def message_failed(self) -> None:
        """End the client, after a fault of the relay, which is being handled."""

    @abc.abstractmethod
    def _may_send(self) -> bool:
        """Return whether the client may have more of its messages taken in now; else its turn comes again."""

    def _give_turn(self) -> int:
        """Let the protocol go on; see `Waiting.go_on`."""
        if not self._may_send():
            return 0
        try:
            taken = cast(MultiplexedSession, self.session).give_turn()
        except ProtocolError as error:
            self.fail(error.disconnect)
        except Exception:  # noqa: BLE001  # whatever it is, it is logged and ends this client only
            self.message_failed()
        else:
            self.count(taken)
            return taken
        return 1
