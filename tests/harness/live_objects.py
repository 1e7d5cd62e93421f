"""What is alive in this process, as its garbage collector sees it: what a leak makes grow."""

import gc
from collections import Counter


def live_objects(*kinds: type) -> int:
    """Return how many objects of these types, or of types made from them, the garbage collector tracks."""
    # Without a line of Python for each of them: where coverage traces, that took half a second.
    # Not isinstance: that asks a weak proxy for its class, and an object that has gone can't say it.
    counts = Counter(map(type, gc.get_objects()))
    return sum(count for kind, count in counts.items() if issubclass(kind, kinds))
