"""A JavaScript client that a test drives, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.harness.conditions import wait_until_blocking
from tests.web.client.engines import Engine

_MAKE = """async ([module, url, tokens, options]) => {
    const { RelayClient } = await import(module);
    const shown = (data) => (typeof data === "string" ? data : { bytes: [...new Uint8Array(data)] });
    const one = { told: [], asked: 0 };
    one.client = new RelayClient(url, {
        onMessage: (data, { position }) => one.told.push({ data: shown(data), position }),
        onState: (state) => one.told.push({ state, at: Date.now() }),
        onMissed: (position) => one.told.push({ missed: position }),
        token: tokens && (async () => {
            const token = tokens[Math.min(one.asked++, tokens.length - 1)];
            if (token === null) throw new Error("log in first");
            return token;
        }),
        ...options,
    });
    globalThis.clients ??= [];
    return globalThis.clients.push(one) - 1;
}"""

_DO = """async ([number, method, given]) => {
    const { client } = globalThis.clients[number];
    return await client[method](...given.map((one) => (one?.bytes ? new Uint8Array(one.bytes).buffer : one)));
}"""

Message = str | dict[str, list[int]]
"""A text, or `{"bytes": [...]}`."""


class DrivenClient:
    """A client that tells what it is told.

    Args:
        engine: where it runs.
        module: address of relay-client.js, as the engine imports it.
        url: of the channel.
        tokens: what it is given at each attempt, the last one from then on; for None the function throws an error.
        options: of the client.
    """

    def __init__(
        self, engine: Engine, module: str, url: str, tokens: Sequence[str | None] | None = None, **options: object
    ) -> None:
        self._engine = engine
        self._number = engine.evaluate(_MAKE, [module, url, tokens, options])

    def do(self, method: str, *given: object) -> Any:
        """Call a method of the client, and return what it returns."""
        return self._engine.evaluate(_DO, [self._number, method, given])

    def start(self) -> None:
        """Let it connect."""
        self.do("start")

    def stop(self) -> None:
        """Let it close."""
        self.do("stop")

    def send(self, *messages: Message) -> None:
        """Send messages, none of which it may refuse."""
        for message in messages:
            assert self.do("send", message) is None

    def now(self, name: str) -> Any:
        """Return one of its properties."""
        return self._engine.evaluate(f"(number) => globalThis.clients[number].client.{name}", self._number)

    @property
    def asked(self) -> int:
        """How often it asked for a token."""
        return int(self._engine.evaluate("(number) => globalThis.clients[number].asked", self._number))

    @property
    def told(self) -> list[dict[str, Any]]:
        """All that it was told, in order."""
        return list(self._engine.evaluate("(number) => globalThis.clients[number].told", self._number))

    @property
    def states(self) -> list[dict[str, Any]]:
        """Its states so far."""
        return [one["state"] for one in self.told if "state" in one]

    @property
    def data(self) -> list[Message]:
        """The messages so far."""
        return [one["data"] for one in self.told if "data" in one]

    @property
    def missed(self) -> list[str | None]:
        """Positions behind which it was told that messages may be missing before."""
        return [one["missed"] for one in self.told if "missed" in one]

    def hears(self, *messages: Message) -> None:
        """Wait until it has heard as many messages as these; they must be these."""
        wait_until_blocking(lambda: len(self.data) >= len(messages), what=f"it hears {messages}")
        assert self.data == list(messages)

    def is_now(self, name: str, times: int = 1) -> dict[str, Any]:
        """Wait until it has been in a state so many times; return what was told of the last of these."""
        wait_until_blocking(lambda: len(self._of(name)) >= times, what=f"it is {name} for the {times}. time")
        return self._of(name)[times - 1]

    def _of(self, name: str) -> list[dict[str, Any]]:
        return [state for state in self.states if state["name"] == name]
