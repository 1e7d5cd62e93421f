"""A client that polls, as its user would write it."""

from __future__ import annotations

import base64
from typing import Any

from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.http_response import HttpResponse, get


class PollClient:
    """Polls a channel on a port of 127.0.0.1, and goes on where it was.

    Args:
        port: TCP port; can be changed, as a load balancer would.
        channel: percent-encoded name.
        address: what a proxy would say of where it comes from; None: no proxy says anything.

    Attributes:
        cursor: of the last answer; None at first.
        answer: the last one.
        received: messages so far.
        missed: how many answers said that messages can have been missed.
    """

    def __init__(self, port: int, channel: str, address: str | None = None) -> None:
        self.port = port
        self.channel = channel
        self._headers = [] if address is None else [f"X-Forwarded-For: {address}"]
        self.cursor: str | None = None
        self.answer: dict[str, Any] = {}
        self.received: list[str | bytes] = []
        self.missed = 0

    async def poll(self, wait: float = 5) -> list[str | bytes]:
        """Poll once, and return the messages that came."""
        response = await self.ask(wait)
        assert response.status == 200, response
        self.answer = response.json
        self.cursor = self.answer["cursor"]
        self.missed += self.answer["missed"]
        messages = messages_of(self.answer)
        self.received += messages
        return messages

    async def ask(self, wait: float = 5) -> HttpResponse:
        """Poll once, and forget the answer."""
        cursor = "" if self.cursor is None else f"&cursor={self.cursor}"
        target = f"/poll/{self.channel}?wait={wait:g}{cursor}"
        return await get(self.port, target, wait + PATIENCE_SECONDS, self._headers)

    async def receive(self, count: int) -> list[str | bytes]:
        """Poll until so many messages have come in all; return all of them."""
        while len(self.received) < count:
            await self.poll()
        return self.received


def messages_of(answer: dict[str, Any]) -> list[str | bytes]:
    """Return the messages of an answer."""
    return [
        element["text"] if element["kind"] == "text" else base64.b64decode(element["base64"], validate=True)
        for element in answer["messages"]
    ]
