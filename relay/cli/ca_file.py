"""Whom commands trust when they speak TLS with a gateway."""

from __future__ import annotations

import ssl
from typing import Any, Final

import click

from relay.system_error import in_words


class CaFile(click.ParamType[str]):
    """A file with authorities to trust, or with the certificate of a gateway itself; checked before the connection."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path, or fail with what is wrong with the file."""
        try:
            trust(value)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            reason = "holds no PEM certificate" if isinstance(error, ssl.SSLError) else in_words(error)
            self.fail(f"{value!r}: {reason}", param, ctx)
        return str(value)


CA_OPTION: Final = click.option(
    "--ca", "ca_file", type=CaFile(), help="Trust this authority or certificate for wss://.  [default: the system's]"
)


def trust(ca_file: str | None, *, any_name: bool = False) -> ssl.SSLContext:
    """Return what a client needs for TLS.

    Args:
        ca_file: PEM file; None: the authorities of the system.
        any_name: whether a certificate may be for another host than the one in the URL.

    Raises:
        OSError, ValueError: the file can't be used.
    """
    context = ssl.create_default_context(cafile=ca_file)
    # The certificate of a gateway itself may be given, which mostly isn't one of an authority.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = not any_name
    return context
