"""The certificate that a gateway shows, and its exchange for a new one while clients are connected.

Connections keep the context that they began with, so nothing happens to them. A new one is looked for in its files all
the time, and at once when an operator asks. One that can't be used changes nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Final

from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.settings.problem import SettingsError
from relay.settings.tls import read_certificate
from relay.tls.server_certificate import CertificateFiles, ServerCertificate

CHECK_SECONDS: Final = 1.0
"""Between two looks at the files. They have to look the same twice: a certificate and its key are two files, which no
program can exchange both at once."""

RELOADED: Final = "reloaded"
FAILED: Final = "failed"

log = Logger("relay.gateway")

_Look = tuple[tuple[int, int, int] | None, ...]


class CertificateInUse:
    """The certificate for new connections.

    Args:
        files: where it is.
        counters: where exchanges are counted.

    Raises:
        SettingsError: it can't be used.

    Attributes:
        current: the certificate.
    """

    def __init__(self, files: CertificateFiles, counters: Counters) -> None:
        self._files = files
        self._counters = counters
        self._seen = _look_at(files.paths)
        self.current: ServerCertificate = read_certificate(files)

    @property
    def expiry(self) -> dict[str, float]:
        """Name of the certificate → when it ends, in seconds since 1970."""
        return {self.current.name: self.current.expires_at}

    def reload(self) -> None:
        """Read the files again, and show what they hold from now on; what can't be used changes nothing."""
        self._seen = _look_at(self._files.paths)
        try:
            self.current = read_certificate(self._files)
        except SettingsError as error:
            self._counters.tls_certificate_reloads[FAILED] += 1
            log.error("certificate not reloaded", reason=str(error), in_use_until=self.current.expires)
        else:
            self._counters.tls_certificate_reloads[RELOADED] += 1
            log.info("certificate reloaded", name=self.current.name, expires=self.current.expires)

    async def watch(self) -> None:
        """Read the files again whenever they have changed, until cancelled."""
        before = self._seen
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            now = _look_at(self._files.paths)
            if now == before and now != self._seen:
                self.reload()
            before = now


def _look_at(paths: Iterable[str]) -> _Look:
    """Return what changes when a file does, for each file; None where there is none."""
    return tuple(map(_look_at_file, paths))


def _look_at_file(path: str) -> tuple[int, int, int] | None:
    try:
        # Through symbolic links: Kubernetes and certbot exchange these.
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
