"""Where the JavaScript client runs: a page, a worker, Node; a test drives it in the same way in each."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pytest
from playwright.sync_api import Page

from tests.harness.browser import Browser, find_chromium
from tests.harness.forked_process import ROOT

MODULE = ROOT / "relay/web/client/relay-client.js"

_DRIVER = Path(__file__).parent / "driver.mjs"

_FIRST_WITH_WEBSOCKETS = 22
_FIRST_WITH_THE_OPTION = 20

_START_WORKER = """() => {
    const address = URL.createObjectURL(new Blob([], { type: "text/javascript" }));
    globalThis.worker = new Worker(address, { type: "module" });
}"""


class Engine(Protocol):
    """Runs scripts."""

    def evaluate(self, script: str, argument: object = None) -> Any:
        """Return what a function of JavaScript returns or promises, for an argument."""


class Node:
    """Node in a process of its own.

    Args:
        process: runs `driver.mjs`.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def evaluate(self, script: str, argument: object = None) -> Any:
        """See `Engine`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"script": script, "argument": argument}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer.get("result")


class Engines:
    """Starts each kind when it is first asked for. A context manager.

    Args:
        port: of a gateway whose page runs the client, or starts the worker that does.
    """

    def __init__(self, port: int) -> None:
        self._home = f"http://127.0.0.1:{port}"
        self._stack = ExitStack()
        self._browser: Browser | None = None
        self._started: dict[str, Engine] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def get(self, kind: str) -> Engine:
        """Return the page, one whose clock the test moves, the worker, or Node; skip the test where there is none."""
        if kind not in self._started:
            open_one = {"page": self._page, "timed": self._timed, "worker": self._worker, "node": _node}[kind]
            self._started[kind] = self._stack.enter_context(open_one())
        return self._started[kind]

    @contextmanager
    def _page(self) -> Iterator[Page]:
        if self._browser is None:
            program = find_chromium()
            if program is None:
                pytest.skip("no Chromium here: sh tests/install.sh chromium")
            self._browser = self._stack.enter_context(Browser(program))
        with self._browser.visiting(f"{self._home}/healthz") as view:
            yield view.page

    @contextmanager
    def _timed(self) -> Iterator[Page]:
        with self._page() as page:
            page.clock.install()
            page.reload()
            yield page

    @contextmanager
    def _worker(self) -> Iterator[Engine]:
        page = self.get("page")
        assert isinstance(page, Page)
        with page.expect_worker() as starting:
            page.evaluate(_START_WORKER)
        yield starting.value


@contextmanager
def _node() -> Iterator[Engine]:
    command = ["node", *node_options(), str(_DRIVER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Node(process)
        finally:
            process.kill()


@cache
def node_options() -> tuple[str, ...]:
    """Return what Node needs to have WebSockets; skip the test where there is no Node that has them."""
    if shutil.which("node") is None:
        pytest.skip("no Node here: sh tests/install.sh node")
    found = re.search(r"v(\d+)", subprocess.run(["node", "--version"], capture_output=True, text=True).stdout)
    assert found is not None
    major = int(found[1])
    if major < _FIRST_WITH_THE_OPTION:
        pytest.skip(f"Node {major} here has no WebSockets: the client needs Node {_FIRST_WITH_WEBSOCKETS}")
    return () if major >= _FIRST_WITH_WEBSOCKETS else ("--experimental-websocket",)
