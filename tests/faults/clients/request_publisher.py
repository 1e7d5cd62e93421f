"""Back ends that publish by `POST /publish`, with and without an idempotency key."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from tests.faults.clients.publisher import Fate, Publisher
from tests.faults.clients.subscriber import FAILURES, PAUSE_SECONDS
from tests.faults.payload import Payload
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place
from tests.harness.http_response import HttpResponse, send_request

ANSWER_SECONDS: Final = 20.0
REPEAT_SECONDS: Final = 90.0
"""For which a message with a key is sent again; the relay knows a key for longer."""


class RequestPublisher(Publisher):
    """Publishes by requests, each at any gateway; args as for `Publisher`, and:

    Args:
        places: of the gateways.
    """

    def __init__(
        self,
        name: str,
        channel: str,
        interval: float,
        size: int,
        recorder: Recorder,
        random: Random,
        places: Sequence[Place],
    ) -> None:
        super().__init__(name, channel, interval, size, recorder, random)
        self._places = places

    async def _send(self, label: str, payload: Payload) -> str | Fate | None:
        try:
            response = await self._request(payload)
        except FAILURES:
            return Fate.UNKNOWN
        if response.status == 200:
            return _position(response)
        # 504 says that nobody knows; so may any other fault.
        return Fate.REFUSED if response.status in (429, 503) else Fate.UNKNOWN

    async def _request(self, payload: Payload, *headers: str) -> HttpResponse:
        """Send one request.

        Raises:
            OSError, EOFError: there is no answer.
        """
        port = self._random.choice(self._places).door.port
        data, kind = (payload.encode(), "text/plain") if isinstance(payload, str) else (payload, "application/x-bytes")
        lines = [
            f"POST /publish/{self.channel} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Type: {kind}",
            f"Content-Length: {len(data)}",
            "Connection: close",
            *headers,
        ]
        return await send_request(port, "\r\n".join([*lines, "", ""]).encode() + data, ANSWER_SECONDS)


class RepeatingPublisher(RequestPublisher):
    """Sends each message again after any error, with its key."""

    keyed = True

    async def _send(self, label: str, payload: Payload) -> str | Fate | None:
        until = self._recorder.now() + REPEAT_SECONDS
        while self._recorder.now() < until:
            try:
                response = await self._request(payload, f'Idempotency-Key: "{label}"')
            except FAILURES:
                response = None
            if response is not None and response.status == 200:
                return _position(response)
            # Also when it is stopped: the message has no outcome yet.
            await self._pause(self._random.uniform(*PAUSE_SECONDS))
        return Fate.UNKNOWN


def _position(response: HttpResponse) -> str | None:
    position: str | None = response.json.get("position")
    return position
