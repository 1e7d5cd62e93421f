"""All scripts, by what they are about."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import Script
from tests.centrifuge.oracle.scripts import (
    cache,
    connecting,
    delta,
    framing,
    histories,
    personal,
    pings,
    presences,
    publishing,
    recovering,
    refreshing,
    server_api,
    server_side,
    subscribing,
    subscription_tokens,
)

THEMES: Final[dict[str, tuple[Script, ...]]] = {
    module.__name__.rpartition(".")[2]: module.SCRIPTS
    for module in (
        connecting,
        framing,
        subscribing,
        subscription_tokens,
        publishing,
        histories,
        recovering,
        cache,
        delta,
        presences,
        personal,
        server_side,
        server_api,
        refreshing,
        pings,
    )
}

SCRIPTS: Final = tuple(script for scripts in THEMES.values() for script in scripts)
