"""What Autobahn finds in the relay that is not simply OK, and why it stays so.

The list is strict: a case that does something else fails the run, be it better or worse. `docs/conformance.md` has the
same table; `tests/docs/test_conformance.py` holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.conformance.report import Behavior, CloseBehavior, Result

CASES: Final = {
    "1": 16,
    "2": 11,
    "3": 7,
    "4": 10,
    "5": 20,
    "6": 145,
    "7": 37,
    "9": 54,
    "10": 1,
    "12": 90,
    "13": 126,
}
"""Group of cases → how many Autobahn has. Fewer would be a run that has ended too early."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """Cases that end in another way than OK.

    Args:
        cases: their numbers, or groups such as `12.*`.
        behaviors: what is allowed; several where it is a matter of time.
        close: how the connection is closed.
        code: of the relay's close frame; None: any, or none.
        reason: why it stays so.
    """

    cases: tuple[str, ...]
    behaviors: tuple[Behavior, ...]
    close: CloseBehavior
    code: int | None
    reason: str

    def covers(self, case: str) -> bool:
        """Return whether it is about a case."""
        return case in self.cases or f"{case.partition('.')[0]}.*" in self.cases

    def allows(self, result: Result) -> bool:
        """Return whether a case that it is about may end like this."""
        return (
            result.behavior in self.behaviors
            and result.behavior_close == self.close
            and self.code in (None, result.remote_close_code)
        )

    def __str__(self) -> str:
        code = "" if self.code is None else f", code {self.code}"
        return f"{' or '.join(self.behaviors)}, close {self.close}{code}"


DEVIATIONS: Final = (
    Deviation(
        ("3.2", "3.3", "4.1.3", "4.1.4", "4.2.3", "4.2.4", "5.15"),
        ("NON-STRICT",),
        "OK",
        1002,
        "A fault comes in one piece with a message before it. The message is published, but its echo takes the way "
        "over the bus, and the client that broke the protocol is closed at once.",
    ),
    Deviation(
        ("3.4", "4.1.5", "4.2.5"),
        ("OK", "NON-STRICT"),
        "OK",
        1002,
        "The same, byte by byte: the echo may be as fast as the fault.",
    ),
    Deviation(
        ("7.1.6",),
        ("INFORMATIONAL",),
        "INFORMATIONAL",
        None,
        "The client closes in the midst of its messages; whatever is echoed before is right.",
    ),
    Deviation(
        ("7.13.1", "7.13.2"),
        ("INFORMATIONAL",),
        "INFORMATIONAL",
        1002,
        "Close codes above 4999, of which RFC 6455 says nothing. The relay takes them for a breach.",
    ),
    Deviation(
        ("9.3.1", "9.3.2", "9.3.3", "9.4.1", "9.4.2", "9.4.3"),
        ("FAILED",),
        "FAILED",
        1009,
        "Messages in 65,537, 16,385 and 4,097 fragments. The relay takes 4,096 for one message: small fragments cost a "
        "gateway many times what they cost their sender.",
    ),
    Deviation(
        ("12.*", "13.*"),
        ("UNIMPLEMENTED",),
        "OK",
        1000,
        "Compression, which the relay doesn't have. It accepts no offer of `permessage-deflate`, and a client then "
        "speaks without.",
    ),
)
