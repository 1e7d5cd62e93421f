"""Nchan: publish/subscribe inside nginx, from Debian's packages."""

from __future__ import annotations

import os
from pathlib import Path

from .peer import CommandFailed, Peer, Place, output_of

CONFIGURATION = Path(__file__).parent / "nchan" / "nginx.conf"
STATE = Path("/var/lib/nginx")  # with this module, Debian's nginx insists on it, whatever the configuration says
PACKAGES = ("nginx", "libnginx-mod-nchan")


class Nchan(Peer):
    """One nginx worker; the packages are unpacked into the cache, so that no service of the machine is touched."""

    name = "nchan"
    title = "Nchan"
    speech = ("--url-template", "{url}/ws/{channel}", "--hears", "all")

    @property
    def root(self) -> Path:
        """The folder in which the packages are unpacked."""
        return self.cache / "root"

    @property
    def nginx(self) -> Path:
        """The program."""
        return self.root / "usr/sbin/nginx"

    @property
    def modules(self) -> Path:
        """The folder of the modules."""
        return self.root / "usr/lib/nginx/modules"

    def install(self) -> str | None:
        """Download and unpack the packages, once."""
        self.cache.mkdir(parents=True, exist_ok=True)
        try:
            if not (self.modules / "ngx_nchan_module.so").exists():
                self._download()
                for package in sorted(self.cache.glob("*.deb")):
                    output_of("dpkg-deb", "-x", package, self.root)
            output_of(self.nginx, "-V")
            STATE.mkdir(exist_ok=True)
        except CommandFailed as failure:
            return str(failure)
        except PermissionError:
            return f"it needs the folder {STATE}, which only root can make"
        return None

    def _download(self) -> None:
        try:
            output_of("apt-get", "download", *PACKAGES, folder=self.cache)
        except CommandFailed:
            if os.geteuid():
                raise
            # The lists of a new machine are empty.
            output_of("apt-get", "update")
            output_of("apt-get", "download", *PACKAGES, folder=self.cache)

    def version(self) -> str:
        """Return the packages' versions."""
        files = sorted(self.cache.glob("*.deb"))
        return ", ".join(output_of("dpkg-deb", "--show", "--showformat=${Package} ${Version}", file) for file in files)

    def command(self, place: Place) -> list[str]:
        """Fill in the configuration and start nginx."""
        text = CONFIGURATION.read_text()
        values = {"@MODULES@": str(self.modules), "@PORT@": str(place.port), "@REDIS@": place.redis_address}
        for key, value in values.items():
            text = text.replace(key, value)
        (place.folder / "nginx.conf").write_text(text)
        # Started as root, a worker becomes an ordinary user, who needs to reach the folders for temporary files.
        place.folder.chmod(0o755)
        return [str(self.nginx), "-p", f"{place.folder}/", "-c", "nginx.conf", "-e", "stderr"]
