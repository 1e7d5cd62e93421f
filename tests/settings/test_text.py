"""What is written in the environment and in `.env` is text: no value of any setting is read as JSON."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relay.settings import Settings
from relay.settings.problem import SettingsError
from relay.settings.values import show

TEXTS = ["null", "None", "[]", "{}", '["a","b"]', '"x"', "123", "1234567890123456", "true", " ", ",", "a,,b"]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("RELAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def outcome(name: str) -> object:
    """Return the value of a setting as one writes it, or the sentence with which it is refused."""
    try:
        value = getattr(Settings(), name)
    except SettingsError as error:
        (problem,) = error.problems
        assert problem.variable == f"RELAY_{name.upper()}"
        return problem
    if name in ("api_keys", "auth_keys"):
        return ",".join(key.get_secret_value() for key in value)
    return show(value)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_value_means_what_is_written_or_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It never means "not set", and never a list that JSON would make of it; the same in both places."""
    variable, file = f"RELAY_{name.upper()}", tmp_path / ".env"
    for text in TEXTS:
        monkeypatch.setenv(variable, text)
        from_environment = outcome(name)
        monkeypatch.delenv(variable)
        file.write_text(f"{variable}='{text}'\n")
        from_file = outcome(name)
        file.unlink()
        assert from_environment == from_file, text
        if isinstance(from_environment, str):
            in_any_case = name in ("allowed_hosts", "auth")  # as names of hosts are, and choices
            assert from_environment == (text.lower() if in_any_case else text)


def test_a_key_of_digits_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_API_KEYS", "1234567890123456")
    assert outcome("api_keys") == "1234567890123456"


def test_null_is_the_origin_of_pages_without_one_and_not_the_word_for_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_ALLOWED_ORIGINS", "null")
    assert Settings().allowed_origins == ("null",)
