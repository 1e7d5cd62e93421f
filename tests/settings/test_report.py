"""Descriptions of settings, the sources of their values, and unknown variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings

from relay.settings import Settings
from relay.settings.report import SettingSource, UnknownVariable, describe, sources, unknown_variables


def test_every_setting_is_described() -> None:
    """One line of meaning, a kind, a group; names follow one rule."""
    for about in describe(Settings):
        assert about.meaning.endswith(".")
        assert "\n" not in about.meaning
        assert len(about.meaning) <= 100
        assert about.kind.name
        assert about.group
        assert about.variable == f"RELAY_{about.name.upper()}"
        assert about.flag == f"--{about.name.replace('_', '-')}"


def test_groups_are_contiguous() -> None:
    """Help and tables print each heading once."""
    groups = [about.group for about in describe(Settings)]
    assert len([group for group, before in zip(groups, [None, *groups], strict=False) if group != before]) == len(
        set(groups)
    )


def test_the_allowed_range_is_the_one_that_is_enforced() -> None:
    """Text and check come from the same numbers."""
    about = {about.name: about for about in describe(Settings)}
    assert str(about["port"].kind) == "integer: 0 to 65535"
    assert str(about["broker_timeout"].kind) == "seconds: 0.1 to 60"
    assert str(about["slow_consumer"].kind) == "choice: close|drop"
    assert about["max_connections"].kind.name == "integer"
    assert about["max_connections"].default == "not set"
    assert about["host"].default == "127.0.0.1"
    assert about["ping_interval"].default == "25"


def test_sources_name_the_strongest_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Default, .env, environment, flag."""
    (tmp_path / ".env").write_text("RELAY_PORT=1\nRELAY_MAX_HEADERS=5\nRELAY_WELCOME=\n")
    monkeypatch.setenv("RELAY_PORT", "2")
    monkeypatch.setenv("relay_drain_seconds", "2")
    monkeypatch.setenv("RELAY_WRITE_DELAY", "")
    found = sources(Settings, ["host"])
    assert found["host"] is SettingSource.FLAG
    assert found["port"] is SettingSource.ENVIRONMENT
    assert found["drain_seconds"] is SettingSource.ENVIRONMENT
    assert found["max_headers"] is SettingSource.ENV_FILE
    assert found["welcome"] is SettingSource.DEFAULT
    assert found["write_delay"] is SettingSource.DEFAULT
    assert list(found) == list(Settings.model_fields)


def test_unknown_variables_are_found_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In both places; their values are not shown."""
    (tmp_path / ".env").write_text("RELAY_PING_INTERVALL=secret\nOTHER=1\n")
    monkeypatch.setenv("RELAY_PROT", "secret")
    monkeypatch.setenv("RELAY_SOMETHING_ELSE_ALTOGETHER", "secret")
    monkeypatch.setenv("RELAY_PORT", "1")
    found = unknown_variables(Settings)
    assert found == [
        UnknownVariable("RELAY_PING_INTERVALL", SettingSource.ENV_FILE, "RELAY_PING_INTERVAL"),
        UnknownVariable("RELAY_PROT", SettingSource.ENVIRONMENT, "RELAY_PORT"),
        UnknownVariable("RELAY_SOMETHING_ELSE_ALTOGETHER", SettingSource.ENVIRONMENT, None),
    ]
    assert str(found[0]) == "RELAY_PING_INTERVALL (.env) is not a setting; did you mean RELAY_PING_INTERVAL?"
    assert str(found[2]) == "RELAY_SOMETHING_ELSE_ALTOGETHER (env) is not a setting"
    assert "secret" not in repr(found)


def test_the_token_of_a_client_is_known_in_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In `.env` no command would find it."""
    monkeypatch.setenv("RELAY_TOKEN", "secret")
    assert unknown_variables(Settings) == []
    (tmp_path / ".env").write_text("RELAY_TOKEN=secret\n")
    assert [found.source for found in unknown_variables(Settings)] == [SettingSource.ENV_FILE]


def test_a_setting_without_a_kind_is_a_mistake_of_the_program() -> None:
    """No description could say what it allows."""

    class Bare(BaseSettings):
        name: str = Field("", json_schema_extra={"group": "None"})

    with pytest.raises(TypeError, match="no ValueKind or Range"):
        describe(Bare)
