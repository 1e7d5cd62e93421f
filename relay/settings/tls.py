"""Settings: the certificate for wss:// and https://."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, StringConstraints, ValidationInfo, field_validator

from relay.settings.field import PREFIX, setting
from relay.settings.problem import SettingProblem, SettingsError
from relay.settings.values import ValueKind
from relay.tls.server_certificate import CertificateError, CertificateFiles, ServerCertificate, load_certificate

_Path = Annotated[str, StringConstraints(min_length=1)]

_KINDS = {
    "tls_cert": ValueKind("file", "PEM: the certificate, then the intermediate certificates"),
    "tls_key": ValueKind("file", f"PEM: the key of {PREFIX}TLS_CERT, without a password"),
    "tls_client_ca": ValueKind("file", "PEM: certificates of authorities"),
}


class TlsSettings(BaseModel):
    """Files. They are read when a gateway starts, not here: the key may be for its eyes only, and commands that ask a
    gateway have the same settings."""

    tls_cert: Annotated[_Path, _KINDS["tls_cert"]] | None = setting(
        None, "TLS", "Certificate for wss:// and https://; read again when it changes. Not set: no TLS."
    )
    tls_key: Annotated[_Path, _KINDS["tls_key"]] | None = setting(
        None, "TLS", "Private key of RELAY_TLS_CERT. Not set: it is in the same file."
    )
    tls_client_ca: Annotated[_Path, _KINDS["tls_client_ca"]] | None = setting(
        None, "TLS", "Authorities for client certificates; every client then needs one. Not set: none."
    )

    @field_validator("tls_key", "tls_client_ca")
    @classmethod
    def _only_with_a_certificate(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("tls_cert", "") is None:
            raise ValueError(f"{PREFIX}TLS_CERT is not set")
        return value


def certificate_files(settings: TlsSettings) -> CertificateFiles | None:
    """Return the files that settings name; None: a gateway with them speaks no TLS."""
    if settings.tls_cert is None:
        return None
    return CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def check_files(settings: TlsSettings) -> None:
    """Read the files that settings name, as a gateway does when it starts.

    Raises:
        SettingsError: they can't be used.
    """
    files = certificate_files(settings)
    if files is not None:
        read_certificate(files)


def read_certificate(files: CertificateFiles) -> ServerCertificate:
    """Return the certificate of a gateway.

    Raises:
        SettingsError: the files can't be used; names the setting.
    """
    try:
        return load_certificate(files)
    except CertificateError as error:
        allowed = f"{_KINDS[error.setting]} (this one {error.reason})"
        problem = SettingProblem(f"{PREFIX}{error.setting.upper()}", repr(error.path), allowed)
        raise SettingsError([problem]) from None
