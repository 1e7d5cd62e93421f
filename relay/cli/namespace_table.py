"""The table of namespaces in `relay config`: what is so in the channels of each, wherever it was said."""

from __future__ import annotations

from relay.namespaces import ChannelOptions
from relay.settings import Settings
from relay.settings.channels import namespaces_of
from relay.settings.namespace_values import OPTIONS
from relay.settings.values import show

HEADINGS = ("namespace", *OPTIONS)

OTHERS = "(all other channels)"

_OF_A_HISTORY = ("history_ttl", "history_bytes")


def rows(settings: Settings) -> list[tuple[str, ...]]:
    """Return the cells of the table, without its heading; none when there are no namespaces.

    Args:
        settings: of the gateway.
    """
    named = settings.named_options
    if not named:
        return []
    every = {**named, OTHERS: namespaces_of(settings).options("")}
    return [(name, *(_cell(option, options, settings) for option in OPTIONS)) for name, options in every.items()]


def _cell(option: str, options: ChannelOptions, settings: Settings) -> str:
    """Return what is so: of an option that isn't given, the value of the setting that counts instead."""
    value = options.positioned if option == "positions" else getattr(options, option)
    if option == "slow_consumer":
        value = options.slow_policy(settings.slow_consumer)
    elif value is None and option != "rights":
        value = getattr(settings, option)
    if value is None or value is False or (option in _OF_A_HISTORY and not options.history_size):
        return "-"
    if option == "subscriber_rights" and not value:
        return "-"  # nothing besides; while no letters in `rights` take away
    if value is True:
        return "yes"
    return show(value) if value != "" else "none"
