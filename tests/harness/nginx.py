"""The system's nginx in front of gateways, told what deploy/README.md says that it must be told."""

from __future__ import annotations

import re
from pathlib import Path

from tests.harness.proxy_process import ProxyProcess

PAGE = Path(__file__).parent.parent.parent / "deploy" / "README.md"


def told() -> list[str]:
    """Return the directives in the nginx column of the table of deploy/README.md, in its order."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    column = next(row.index("nginx") for row in rows if "nginx" in row)
    cells = [row[column] for row in rows if len(row) > column and "nginx" not in row]
    return [word for cell in cells for code in re.findall(r"`([^`]+;)`", cell) for word in re.findall(r"[^;]+;", code)]


class Nginx(ProxyProcess):
    """One nginx.

    Args:
        gateways: ports of 127.0.0.1.
        keepalive: whether it keeps its connections to them, as it does by itself since 1.29.
    """

    def __init__(self, *gateways: int, keepalive: bool = True) -> None:
        super().__init__("nginx")
        self._gateways = gateways
        self._keepalive = keepalive

    def command(self, config: Path) -> list[str]:
        """See `ProxyProcess`."""
        return ["-p", str(self.folder), "-c", str(config), "-e", "stderr", "-g", "daemon off;"]

    def configuration(self) -> str:
        """See `ProxyProcess`."""
        directives = [directive.strip() for directive in told()]
        location = "\n".join(directive for directive in directives if directive.startswith("proxy_"))
        # Before `keepalive`, which keeps connections of the choice that stands above it.
        balance = "\n".join(directive for directive in directives if directive.startswith("least_conn"))
        keepalive = "\n".join(
            directive for directive in directives if directive.startswith("keepalive ") and self._keepalive
        )
        polls = "\n".join(directive for directive in directives if directive.startswith("hash "))
        servers = "\n".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=5s;" for port in self._gateways)
        paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = "\n".join(f"{path}_temp_path {self.folder}/{path};" for path in paths)
        return f"""
            worker_processes 1;
            pid {self.folder}/pid;
            error_log stderr warn;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                {temporary}
                upstream gateways {{ {balance} {servers} {keepalive} }}
                upstream polls {{ {polls} {servers} {keepalive} }}
                server {{
                    listen 127.0.0.1:{self.port};
                    {location}
                    location / {{ proxy_pass http://gateways; }}
                    location /poll {{ proxy_pass http://polls; }}
                }}
            }}
        """
