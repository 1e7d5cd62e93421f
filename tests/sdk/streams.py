"""Streams of events as a test writes them, and the clients that read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from relay import Client

Answer = bytes | web.Response | Callable[[web.StreamResponse], Awaitable[None]]


class Script:
    """Answers one request after the other.

    Args:
        answers: events, an answer that is no stream, or a function that writes into one; the last again and again.

    Attributes:
        requests: all that came.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers: Sequence[Answer] = answers
        self.requests: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer the next request."""
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, web.Response):
            # It can be sent once only.
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if isinstance(answer, bytes):
            await response.write(answer)
        else:
            await answer(response)
        return response

    @property
    def asked(self) -> list[tuple[str, str | None]]:
        """Targets and positions of the requests."""
        return [(request.path_qs, request.headers.get("Last-Event-ID")) for request in self.requests]


def eager(url: str, **options: object) -> Client:
    """Return a client that comes back at once."""
    return Client(url, max_reconnect_delay=0.0, **options)  # type: ignore[arg-type]  # those of a client
