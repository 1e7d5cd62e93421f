"""docs/upgrading.md: what is stable, and what is on Redis."""

from __future__ import annotations

import re

import relay
from relay.brokers import envelope
from relay.brokers.redis import announcement, block_store
from relay.brokers.redis.presence_scripts import presence_keys
from relay.brokers.redis.scripts import keys_of
from relay.channel import EVENTS
from relay.control import commands
from relay.control.messages import CONTROL_CHANNEL, inbox
from tests.docs.pages import table_below, text_of

PAGE = "docs/upgrading.md"


def test_the_public_names_are_those_of_the_package() -> None:
    (listed,) = re.findall(r"<!-- names -->(.+?)<!-- end -->", text_of(PAGE))
    assert re.findall(r"`(\w+)`", listed) == relay.__all__


def test_the_names_on_redis_are_all_that_there_are() -> None:
    """The probe's has no function of its own."""
    listed = {name for row in table_below(PAGE, "| name |") for name in re.findall(r"`(.+?)`", row[0])}
    positions = keys_of("relay:", "CHANNEL")
    keys = [positions.position, positions.history, positions.repeat + b"HASH"]
    keys += presence_keys("relay:", "CHANNEL", "GATEWAY")
    channels = ["CHANNEL", CONTROL_CHANNEL, inbox("GATEWAY"), f"{EVENTS}CHANNEL", " probe ID"]
    others = [announcement.KEY, block_store.KEY]
    assert listed == {key.decode() for key in keys} | {f"relay:{name}" for name in channels + others}


def test_the_versions_are_those_of_the_code() -> None:
    rows = table_below(PAGE, "| name |")
    messages, control = rows[0][2], rows[1][2]
    assert f"the envelope, version {envelope.VERSION}" in messages
    assert f"version {commands.VERSION}" in control
