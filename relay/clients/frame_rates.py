"""How many frames a client may send that carry no whole message: control frames and small fragments.

They cost as much as messages, and no client needs many of them. Messages have a rate of their own; see
`relay.limits.meter`.
"""

from __future__ import annotations

from typing import Final

from relay.limits.rate import Rate

SMALL_FRAGMENT_BYTES: Final = 1024
"""Fragments of at least this size aren't counted: their bytes bound their number."""

CONTROL_FRAMES: Final = Rate(per_second=50, burst=500)
"""Pings and pongs. Clients send one each few seconds; one that measures its latency sends perhaps ten a second. The
burst is for clients whose frames have waited, in a network or in a paused socket."""

FRAGMENTS: Final = Rate(per_second=100, burst=4096)
"""Small fragments. The burst is the largest number of fragments that one message may have; a client that writes a
message while it is made up, word by word, stays below the rate."""
