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

MERGE_AGAIN_SECONDS: Final = (60.0, 3600.0)
"""After which it is tried again to publish to several channels in one call, since Redis has refused some together: at
first, and at most. Each further refusal doubles it, as each makes all of one call wait for another round trip."""

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
        clock: returns the time in seconds; it never goes back.

    Attributes:
        scripts: to be called.
        ready: whether messages may go out, as far as scripts are concerned.
        found: set when a script has answered.
        merges: whether one call may have channels of several slots: Redis is asked, as a node of a cluster refuses it,
            and so do some proxies. Where channels were refused together, it isn't asked again for a while: whatever
            was refused would hold up all others on each new link.
    """

    def __init__(
        self,
        verb: bytes,
        prefix: str,
        announcement: Announcement | None,
        durability: Durability,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scripts: PublishScripts = publish_scripts(verb)
        self._question = pack_question(self.scripts, prefix)
        self._announcement = announcement
        self._durability = durability
        self._primary = b""
        self._refused = False
        self._clock = clock
        # When it is tried again to merge, as channels were refused together; None: they were not.
        self._merge_again_at: float | None = None
        self._merge_pause, self._longest_merge_pause = MERGE_AGAIN_SECONDS
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
        self._remind_at = self._clock() + REMIND_SECONDS
        ask(self._announcement.tell, self._announced)
        self.load(ask)
        self._ask_to_merge(ask)
        ask(pack("INFO", "replication"), introduced)

    def remind(self, ask: Ask) -> None:
        """Remind publishers which channels have positions, if that was long ago. Called once in a while."""
        if self._announcement is None:
            return
        if self._clock() >= self._remind_at:
            self._remind_at = self._clock() + REMIND_SECONDS
            ask(self._announcement.remind, _ignore)
        if self._merge_again_at is not None:
            self._ask_to_merge(ask)

    def load(self, ask: Ask) -> None:
        """Load the scripts."""
        self._in_vain = 1 if self.found else self._in_vain + 1
        self.found = False
        for script in self.scripts:
            ask(script.load, self._loaded)

    def refuse_merging(self, error: str) -> None:
        """Merge no more for a while: Redis has refused channels together. It may have concerned one of them alone."""
        self.merges = False
        if self._merge_again_at is None:
            seconds = self._merge_pause
            self._merge_again_at = self._clock() + seconds
            self._merge_pause = min(2 * seconds, self._longest_merge_pause)
            log.warning(
                "channels published apart",
                error=error,
                meaning=f"each channel with positions takes calls of its own, for the next {seconds:.0f} s",
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

    def _ask_to_merge(self, ask: Ask) -> None:
        """Ask whether one call may have several channels, unless some were refused together a short while ago."""
        if self._merge_again_at is not None:
            now = self._clock()
            if now < self._merge_again_at:
                return
            self._merge_again_at = now + self._merge_pause
        ask(self._question, self._may_merge)

    def _may_merge(self, reply: Any) -> None:
        self.merges = isinstance(reply, list)
        if self.merges and self._merge_again_at is not None:
            self._merge_again_at = None
            log.info("channels published together again")

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
