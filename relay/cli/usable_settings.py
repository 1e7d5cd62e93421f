"""Settings that can be shown although some of them are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic_settings import BaseSettings

from relay.settings import Settings
from relay.settings.report import quiet_dotenv


class UsableSettings(Settings):
    """The given values where they are legal, and the defaults elsewhere. Only to be shown, never to run with.

    Args:
        given: as for `Settings`.
    """

    def __init__(self, given: Mapping[str, object]) -> None:
        options: dict[str, Any] = dict(given)
        with quiet_dotenv():
            try:
                BaseSettings.__init__(self, **options)
            except (OSError, UnicodeDecodeError):  # .env can't be read at all
                BaseSettings.__init__(self, _env_file=None, **options)

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_default(cls, value: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
        """Take the default for a wrong value."""
        try:
            return check(value)
        except ValueError:  # pydantic's ValidationError is one
            return cls.model_fields[info.field_name or ""].default
