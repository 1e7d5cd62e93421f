"""The system's HAProxy with deploy/haproxy.cfg, in front of gateways of this machine."""

from __future__ import annotations

import re
from pathlib import Path

from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.proxy_process import ProxyProcess

CONFIG = Path(__file__).parent.parent.parent / "deploy" / "haproxy.cfg"


class HAProxy(ProxyProcess):
    """One HAProxy.

    Args:
        gateways: ports of 127.0.0.1.
        authority: when set, clients speak TLS, and HTTP/2 if they can.
    """

    def __init__(self, *gateways: int, authority: CertificateAuthority | None = None) -> None:
        pem = None
        if authority is not None:
            pem = authority.certificate_file.read_text() + authority.key_file.read_text()
        super().__init__("haproxy", tls=pem)
        self._gateways = gateways
        self._tls = f" ssl crt {self.certificate} alpn h2,http/1.1" if pem else ""

    def command(self, config: Path) -> list[str]:
        """See `ProxyProcess`."""
        return ["-db", "-f", str(config)]

    def configuration(self) -> str:
        """See `ProxyProcess`: the file as it is, but for addresses, which no name server knows here."""
        text = re.sub(r"(?ms)^resolvers docker\n.*?^(?=frontend)", "", CONFIG.read_text())
        text = text.replace(" resolvers docker init-addr none", "")
        servers = "\n    ".join(f"server gateway-{port} 127.0.0.1:{port}" for port in self._gateways)
        text, templates = re.subn(r"server-template gateway- 64 gateway:8000", servers, text)
        text, binds = re.subn(r"bind :8080", f"bind 127.0.0.1:{self.port}{self._tls}", text)
        assert (templates, binds) == (2, 1)
        return text.replace("option redispatch 1", "option redispatch 1\n    http-reuse always")
