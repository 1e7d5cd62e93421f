"""What the link to publish needs so that Redis runs scripts on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import hiredis

from relay.brokers.redis.announcement import Announcement
from relay.brokers.redis.durability import Durability
from relay.brokers.redis.link import pack
from relay.brokers.redis.script_calls import pack_primary, pack_question
from relay.brokers.redis.scripts import PublishScripts, publish_scripts
from relay.brokers.redis.server import primary_of
from relay.logs import Logger

LOADS_IN_VAIN: Final = 10
"""How often scripts are loaded while none is found: something between may lead each command to another Redis."""

REMIND_SECONDS: Final = 10.0
"""How often publishers are reminded which channels have positions: Redis may have lost it while the link goes on."""

Ask = Callable[[bytes, Callable[[Any], None]], None]
"""Writes a packed command, and gives its reply to a function: behind the replies of what was written before."""

log = Logger("relay.bus")


class Scripting:
    """Loads the scripts, and knows which primary runs them.

    Where no channel has positions, nothing is asked and nothing loaded before a script is missed: most deployments need
    none, and their user at Redis has no right to run any.

    Args:
        verb: of the kind of pub/sub; see `Verbs.publish`.
        prefix: of the bus.
        announcement: tells publishers of back ends which channels have positions; None: none has.
        durability: looks at how well Redis keeps what it is given.

    Attributes:
        scripts: to be called.
        ready: whether messages may go out, as far as scripts are concerned.
        found: set when a script has answered.
        merges: whether one call may have channels of several slots: Redis is asked, as a node of a cluster refuses it,
            and so do some proxies. Where channels were refused together, it isn't asked again as long as the gateway
            runs: whatever was refused would hold up all others on each new link.
    """

    def __init__(self, verb: bytes, prefix: str, announcement: Announcement | None, durability: Durability) -> None:
        self.scripts: PublishScripts = publish_scripts(verb)
        self._question = pack_question(self.scripts, prefix)
        self._announcement = announcement
        self._durability = durability
        self._primary = b""
        self._refused = False
        self._refused_together = False
        self._in_vain = 0
        self._remind_at = 0.0
        self.found = False
        self.merges = False
        self.ready = True

    def begin(self, ask: Ask, ready: Callable[[], None]) -> None:
        """Prepare a fresh link; `ready` is called when messages may go out, if they must wait."""
        self._primary = b""
        self._refused = False
        self._in_vain = 0
        self.merges = False
        self.ready = self._announcement is None
        if self._announcement is None:
            return

        def introduced(info: Any) -> None:
            self._primary = primary_of(info) or b""
            if not self._primary:
                log.warning(
                    "the bus doesn't say which primary it is",
                    error=str(info)[:200],
                    meaning="after a failover a lost message may go unnoticed",
                )
            self.ready = True
            ready()

        self._durability.look(ask)
        self._remind_at = time.monotonic() + REMIND_SECONDS
        ask(self._announcement.tell, self._announced)
        self.load(ask)
        if not self._refused_together:
            ask(self._question, self._may_merge)
        ask(pack("INFO", "replication"), introduced)

    def remind(self, ask: Ask) -> None:
        """Remind publishers which channels have positions, if that was long ago. Called once in a while."""
        if self._announcement is not None and time.monotonic() >= self._remind_at:
            self._remind_at = time.monotonic() + REMIND_SECONDS
            ask(self._announcement.remind, _ignore)

    def load(self, ask: Ask) -> None:
        """Load the scripts."""
        self._in_vain = 1 if self.found else self._in_vain + 1
        self.found = False
        for script in self.scripts:
            ask(script.load, self._loaded)

    def refuse_merging(self, error: str) -> None:
        """Merge no more: Redis has refused channels together. It may have concerned one of them alone."""
        self.merges = False
        if not self._refused_together:
            self._refused_together = True
            log.warning(
                "channels published apart",
                error=error,
                meaning="each channel with positions takes calls of its own, until the gateway is started again",
                cause="a channel that the gateway may not publish to, or a Redis that takes one channel per call",
            )

    def primary_is(self, primary: bytes) -> None:
        """Note which primary has answered; empty: it doesn't say."""
        self._primary = primary or self._primary

    @property
    def hopeless(self) -> bool:
        """Whether calls that have found no script won't find one if it is loaded again."""
        return self._refused or (self._in_vain >= LOADS_IN_VAIN and not self.found)

    @property
    def middle(self) -> bytes:
        """What completes the calls that are written now."""
        return pack_primary(self._primary)

    def _may_merge(self, reply: Any) -> None:
        self.merges = isinstance(reply, list)

    def _loaded(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            if not self._refused:
                log.error("scripts refused", error=str(reply), needed="rights to EVALSHA and SCRIPT LOAD")
            self._refused = True

    def _announced(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            log.warning(
                "namespaces not announced",
                error=str(reply),
                meaning="Publisher without namespaces= publishes past the histories",
            )


def _ignore(reply: Any) -> None:
    """Do nothing: a refusal was told when the link was opened."""
