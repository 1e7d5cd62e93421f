"""Settings of channels, and what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay.namespaces import ChannelOptions
from relay.settings import Settings
from relay.settings.problem import SettingProblem, SettingsError

NAMESPACES = {
    "chat": {"history_size": 100, "history_ttl": 60},
    "news": {"positions": True, "slow_consumer": "latest", "max_message_bytes": 1000, "rights": "r"},
}

CHAT = ChannelOptions(history_size=100, history_ttl=60)
NEWS = ChannelOptions(positions=True, slow_consumer="latest", max_message_bytes=1000, rights="r")


def settings_of(**values: Any) -> Settings:
    """Return settings of values as the environment has them."""
    return Settings(**values)


def parts_of(namespaces: object, **others: Any) -> dict[str, SettingProblem]:
    """Return the problems of namespaces that are refused, by the parts that they are about."""
    with pytest.raises(SettingsError) as refused:
        settings_of(namespaces=json.dumps(namespaces), **others)
    problems = refused.value.problems
    assert {problem.variable for problem in problems} == {"RELAY_NAMESPACES"}
    assert len({problem.part for problem in problems}) == len(problems)
    return {problem.part: problem for problem in problems}


def allowed_in_chat(option: str, options: dict[str, object], **others: Any) -> str:
    """Return what is allowed where one option of one namespace is refused."""
    (problem,) = parts_of({"chat": options}, **others).values()
    assert problem.part == f"chat.{option}"
    assert problem.given == json.dumps(options[option])
    return problem.allowed
