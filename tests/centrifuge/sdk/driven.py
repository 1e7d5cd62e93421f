"""An SDK that runs: in a process of its own, or in a page."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jwt
from playwright.sync_api import Page

from tests.centrifuge.oracle.setups import SECRET
from tests.harness import guard
from tests.harness.conditions import PATIENCE_SECONDS, wait_until_blocking

Event = dict[str, Any]

USER = "ann"
CHANNEL = "all:numbers"

TOKEN_SECONDS = 6
"""For which each token is valid: shorter than the time that a client is connected."""


class Driven:
    """A client of one SDK. It asks for tokens, and gets some that expire soon. A context manager.

    Attributes:
        events: all that it has told.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.events: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def all(self, event: str) -> list[Event]:
        """Return all events of one kind that were told."""
        self.poll()
        return [told for told in list(self.events) if told["event"] == event]

    def ask(self, verb: str, **fields: Any) -> Any:
        """Let it do something, and return what comes out."""
        number = next(self._numbers)
        self.say({"verb": verb, "number": number, **fields})
        self.wait(lambda: self._answers(number), f"answer to {verb}")
        answer = self._answers(number)[0]
        assert "error" not in answer, f"{verb}: {answer['error']}"
        return answer["value"]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that it tells."""
        try:
            wait_until_blocking(condition, PATIENCE_SECONDS, what)
        except AssertionError as error:
            told = "\n".join(map(str, self.events[-40:]))
            raise AssertionError(f"{error}; it has told:\n{told}\n{self.complaints()}") from None

    def note(self, event: Event) -> None:
        """Take an event, and give a token to whom wants one."""
        self.events.append(event)
        if event["event"] == "token":
            claims = {"sub": USER, "exp": int(time.time()) + TOKEN_SECONDS}
            if channel := event["channel"]:
                claims["channel"] = channel
            self.say({"token": jwt.encode(claims, SECRET, "HS256"), "channel": channel})

    def say(self, command: Mapping[str, Any]) -> None:
        """Send a command."""
        raise NotImplementedError

    def poll(self) -> None:
        """Take the events that have come since."""

    def complaints(self) -> str:
        """Return what it has written besides events."""
        return ""

    def close(self) -> None:
        """End it."""

    def _answers(self, number: int) -> list[Event]:
        return [answer for answer in self.all("answer") if answer["number"] == number]


class DrivenProcess(Driven):
    """A client in a process, which speaks by its standard streams.

    Args:
        command: of the driver.
        url: where it connects.
        form: json or protobuf.
        log: file for what it complains about.
        transport: how it connects, where it has a choice.
    """

    def __init__(self, command: list[str], url: str, form: str, log: Path, transport: str = "websocket") -> None:
        super().__init__()
        self._log = log
        given = {"SDK_URL": url, "SDK_CHANNEL": CHANNEL, "SDK_FORMAT": form, "SDK_TRANSPORT": transport}
        environment = {**os.environ, **given}
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        guard.watch(self._process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def say(self, command: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def complaints(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        guard.unwatch(self._process.pid)
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.note(json.loads(line))


class DrivenPage(Driven):
    """A client in a page of a browser.

    Args:
        page: it has loaded the SDK and `conversation.js`.
        url: where it connects.
        transport: how.
    """

    def __init__(self, page: Page, url: str, transport: str) -> None:
        super().__init__()
        self._page = page
        page.evaluate(
            "options => { globalThis.told = []; globalThis.obey = converse(Centrifuge, options, e => told.push(e)); }",
            {"url": url, "channel": CHANNEL, "transport": transport, "protobuf": False},
        )

    def say(self, command: Mapping[str, Any]) -> None:
        self._page.evaluate("command => { obey(command); }", dict(command))

    def poll(self) -> None:
        for event in self._page.evaluate("told.splice(0)"):
            self.note(event)
