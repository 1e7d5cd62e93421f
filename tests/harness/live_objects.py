"""What is alive in this process, as its garbage collector sees it: what a leak makes grow."""

import gc


def live_objects(*kinds: type) -> int:
    """Return how many objects of these types, or of types made from them, the garbage collector tracks."""
    # Not isinstance: that asks a weak proxy for its class, and an object that has gone can't say it.
    return sum(issubclass(type(thing), kinds) for thing in gc.get_objects())
