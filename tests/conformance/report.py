"""What Autobahn reports of its cases."""

from __future__ import annotations

from typing import Literal

import msgspec

Behavior = Literal["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED"]
"""What the server did: as the protocol wants it; as it only allows it; nothing that can be judged; it hasn't what the
case is about; otherwise."""

CloseBehavior = Literal["OK", "INFORMATIONAL", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED"]
"""How it closed the connection."""


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """What came of one case.

    Args:
        behavior: see `Behavior`.
        behavior_close: see `CloseBehavior`.
        remote_close_code: code of the server's close frame; None: there was none, or none in it.
        duration: in milliseconds.
    """

    behavior: Behavior
    behavior_close: CloseBehavior
    remote_close_code: int | None
    duration: int = 0

    def __str__(self) -> str:
        return f"{self.behavior}, close {self.behavior_close}, code {self.remote_close_code}"


_REPORT = msgspec.json.Decoder(dict[str, dict[str, Result]])


def read_report(index: bytes, server: str) -> dict[str, Result]:
    """Return the results of the cases, by their numbers such as `6.12.3`.

    Args:
        index: text of Autobahn's `index.json`.
        server: name of the server in it; it must be the only one.

    Raises:
        ValueError: it is no such report.
    """
    report = _REPORT.decode(index)
    if list(report) != [server]:
        raise ValueError(f"the report is of {sorted(report)}, not of {server!r} alone")
    return report[server]
