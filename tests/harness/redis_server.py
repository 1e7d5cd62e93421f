"""A real Redis, started, killed, paused and restarted at will."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.harness import guard
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import free_port

ADMIN_TIMEOUT_SECONDS = 30.0


class RedisServer:
    """A `redis-server` process on a port of 127.0.0.1. A context manager.

    Args:
        user: name of an ACL user with all rights; needs a password. The default user is then switched off.
        password: password of `user`, or of the default user.
        authority: when set, the port speaks TLS with a certificate of this authority.
        unix_socket: also listen on a socket file.
        without: commands that it doesn't know.
        options: further options of its command line.

    Attributes:
        port: TCP port; the same after a restart.
        append_only: whether it starts with an append-only file, and reads it; without, it keeps nothing.
    """

    def __init__(
        self,
        *,
        user: str | None = None,
        password: str | None = None,
        authority: CertificateAuthority | None = None,
        unix_socket: bool = False,
        without: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self._user = user
        self._password = password
        self._authority = authority
        self._without = without
        self._more_options = options
        # A short path of its own: the path of a socket file may have 107 bytes at most.
        self._directory = tempfile.TemporaryDirectory(prefix="relay-redis-")
        self._path = Path(self._directory.name)
        self._socket = self._path / "redis.sock" if unix_socket else None
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: redis.Redis | None = None
        self.port = free_port()
        self.append_only = False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the process is there (paused counts)."""
        return self._process is not None and self._process.poll() is None

    @property
    def admin(self) -> redis.Redis:
        """A cold client for looking and for admin commands; it never sends anything twice."""
        if self._admin is None:
            self._admin = redis.Redis.from_url(
                self.url,
                socket_timeout=ADMIN_TIMEOUT_SECONDS,
                socket_connect_timeout=ADMIN_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
                **({"protocol": 2} if self._without else {}),  # the other one needs HELLO
                **({"ssl_ca_certs": str(self._authority.ca_file)} if self._authority else {}),
            )
        return self._admin

    @property
    def url(self) -> str:
        """Address of database 0, with user and password where there are any."""
        return self.url_of()

    @property
    def unix_url(self) -> str:
        """Address of the socket file."""
        assert self._socket is not None
        return f"unix://{self._login()}{self._socket}?db=0"

    def url_of(self, *, db: int = 0, port: int | None = None) -> str:
        """Return the address of a database, perhaps by way of a proxy's port."""
        scheme = "rediss" if self._authority else "redis"
        return f"{scheme}://{self._login()}127.0.0.1:{port or self.port}/{db}"

    def start(self) -> None:
        """Start the process and return when it answers."""
        assert not self.running
        command = ["redis-server", *self._options()]
        with (self._path / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._path)
        guard.watch(self._process.pid)
        try:
            wait_until_blocking(self._answers, what="redis-server answers")
        except AssertionError as error:
            error.add_note((self._path / "redis.log").read_text(errors="replace")[-2000:])
            self.kill()
            raise

    def kill(self) -> None:
        """End the process at once, as `kill -9` does; it may be started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            guard.unwatch(self._process.pid)
            self._process = None
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def restart(self) -> None:
        """Kill the process and start it on the same port, empty."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop the process in its tracks; its sockets stay open and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill the process and remove its folder."""
        self.kill()
        self._directory.cleanup()

    def append(self, on: bool) -> None:
        """Write everything into an append-only file from now on, or nothing any more; also after a restart."""
        self.append_only = on
        self.admin.config_set("appendonly", "yes" if on else "no")
        if on:
            wait_until_blocking(self._appends, what="the append-only file is written")
        else:
            shutil.rmtree(self._path / "appendonlydir", ignore_errors=True)

    def _appends(self) -> bool:
        info = self.admin.info("persistence")
        busy = info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]
        return bool(info["aof_enabled"]) and not busy and info["aof_last_bgrewrite_status"] == "ok"

    def fail_to_save(self) -> None:
        """Let it be unable to save, as with a full disk; it refuses PING and writes from then on."""
        (self._path / "dump.rdb").mkdir()  # where the file would be
        self.admin.config_set("save", "3600 1")
        self.admin.bgsave()
        wait_until_blocking(lambda: self.admin.info("persistence")["rdb_last_bgsave_status"] == "err")

    def follow(self, primary: RedisServer) -> None:
        """Become a replica of another server; connections stay."""
        primary.admin.config_set("repl-diskless-sync-delay", 0)
        self.admin.replicaof("127.0.0.1", str(primary.port))

    def subscriptions(self, channel: str) -> int:
        """Return how many connections are subscribed to a channel (with its prefix)."""
        return int(self.admin.pubsub_numsub(channel)[0][1])

    def channels(self, pattern: str) -> int:
        """Return how many channels that match a glob pattern have a subscriber."""
        return len(self.admin.pubsub_channels(pattern))

    def calls(self, command: str) -> int:
        """Return how often a command was executed since the start."""
        stats = self.admin.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))

    def add_user(self, name: str, password: str, rights: str) -> str:
        """Add an ACL user.

        Args:
            name: of the user.
            password: of the user.
            rights: rules as Redis writes them, separated by spaces.

        Returns:
            Address of the server, with this login.
        """
        self.admin.execute_command("ACL", "SETUSER", name, "on", f">{password}", *rights.split())  # type: ignore[no-untyped-call]
        return f"redis://{name}:{password}@127.0.0.1:{self.port}/0"

    def kill_clients(self, kind: str, user: str | None = None) -> int:
        """Cut all connections of a type (`pubsub`, `normal`) but our own, or those of one user; return how many."""
        return int(self.admin.client_kill_filter(_type=kind, skipme=True, user=user))

    def allow(self, user: str, *rules: str) -> None:
        """Set ACL rules of a user, in the words of `ACL SETUSER`."""
        self.admin.execute_command("ACL", "SETUSER", user, *rules)  # type: ignore[no-untyped-call]

    def _answers(self) -> bool:
        if not self.running:
            raise AssertionError("redis-server ended while it started")
        try:
            return bool(self.admin.ping())
        except redis.ConnectionError:
            return False
        except redis.ResponseError:
            return True

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _login(self) -> str:
        if self._password is None:
            return ""
        return f"{quote(self._user or '', safe='')}:{quote(self._password, safe='')}@"

    def _options(self) -> list[str]:
        port = ["--port", "0", "--tls-port", str(self.port)] if self._authority else ["--port", str(self.port)]
        options = ["--bind", "127.0.0.1", *port, "--save", "", "--dir", str(self._path)]
        options += ["--appendonly", "yes" if self.append_only else "no"]
        if self._authority:
            options += ["--tls-ca-cert-file", str(self._authority.ca_file), "--tls-auth-clients", "no"]
            options += ["--tls-cert-file", str(self._authority.certificate_file)]
            options += ["--tls-key-file", str(self._authority.key_file)]
        if self._socket:
            options += ["--unixsocket", str(self._socket)]
        if self._user:
            assert self._password is not None
            options += ["--user", self._user, "on", f">{self._password}", "~*", "&*", "+@all"]
            options += ["--user", "default", "off"]
        elif self._password:
            options += ["--requirepass", self._password]
        for command in self._without:
            options += ["--rename-command", command, ""]
        return [*options, *self._more_options]
