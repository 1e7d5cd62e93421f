"""The settings of a gateway, from `RELAY_*` variables, a `.env` file and keyword arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from relay.redaction import mask_credentials
from relay.settings.access import AccessSettings
from relay.settings.back_end import BackEndSettings
from relay.settings.bus import BusSettings
from relay.settings.channels import ChannelSettings
from relay.settings.field import PREFIX
from relay.settings.limits import LimitSettings
from relay.settings.listening import ListeningSettings
from relay.settings.messages import MessageSettings
from relay.settings.problem import SettingProblem, SettingsError
from relay.settings.process import ProcessSettings
from relay.settings.report import broken_lines, problems, quiet_dotenv
from relay.settings.rpc import RpcSettings
from relay.settings.tls import TlsSettings
from relay.system_error import in_words

ENV_FILE = ".env"


class Settings(
    ProcessSettings,
    LimitSettings,
    ChannelSettings,
    RpcSettings,
    BackEndSettings,
    AccessSettings,
    MessageSettings,
    BusSettings,
    TlsSettings,
    ListeningSettings,
    BaseSettings,
):
    """The settings of one gateway: frozen, and all checked when the object is made. Their sections are its bases.

    Args:
        **overrides: values by name. They come before the environment, which comes before `.env` in the working folder.
            An empty variable counts as not set.

    Raises:
        SettingsError: holds a problem for each setting that can't be used.
        TypeError: an override is not a setting.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        # Values are text, never JSON: as JSON, `null` would mean "not set", and a key of digits would be a number.
        enable_decoding=False,
        frozen=True,
        dotenv_filtering="only_existing",
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    # The sections have validators of fields. Pydantic gives one only those earlier fields that are valid, of its own
    # section and of those behind it in the list of bases. So problems of two fields together are reported with all
    # others, and never for a field that is reported already.

    # Hidden from type checkers: they derive a keyword with its type from each field.
    if not TYPE_CHECKING:

        def __init__(self, **overrides: Any) -> None:
            if unknown := sorted(set(overrides) - set(type(self).model_fields)):
                raise TypeError(f"not a setting: {', '.join(unknown)}")
            broken: list[SettingProblem] = []
            try:
                broken = broken_lines(ENV_FILE)
                with quiet_dotenv():
                    super().__init__(**overrides)
            except ValidationError as error:
                raise SettingsError([*broken, *problems(type(self), error)]) from None
            except (OSError, UnicodeDecodeError) as error:
                problem = SettingProblem(ENV_FILE, in_words(error), "a readable UTF-8 file of NAME=value lines")
                raise SettingsError([problem]) from None
            if broken:
                raise SettingsError(broken)

    @property
    def clients_are_known(self) -> bool:
        """Whether a client has to show who it is.

        If not, pages of all sites may come in, as all programs may. If it has, a browser would do that for whichever
        page asks: it shows its certificate as it sends cookies. So origins matter then.
        """
        return self.auth != "none" or self.tls_client_ca is not None

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Mask passwords, because a repr ends up in tracebacks and logs."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            yield name, mask_credentials(value) if isinstance(value, str) else value
