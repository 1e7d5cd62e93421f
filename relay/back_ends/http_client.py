"""The client of one back end, or issuer, that a gateway asks: bounded in time, bytes and connections."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import aiohttp
from yarl import URL

from relay.errors import RelayError
from relay.logs import Logger
from relay.settings.values import is_loopback
from relay.system_error import in_words
from relay.version import __version__

KEEPALIVE_SECONDS: Final = 4.0
"""How long an idle connection is kept: many servers close theirs after 5, and must not do it under a request."""

DNS_SECONDS: Final = 10.0
"""How long an address counts, so that a server that has moved is found again."""

log = Logger("relay.back_ends")


class Failure(enum.Enum):
    """Why a server has not answered as it should; the values are the names in the counters."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REDIRECT = "redirect"
    STATUS = "status"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"


class CallFailed(RelayError):
    """A server has not answered as it should.

    Args:
        failure: why.
        detail: in words; never what was sent, and nothing of the answer but its status.
    """

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Args:
        status: HTTP status.
        body: the whole body, as it was sent.
    """

    status: int
    body: bytes


class HttpClient:
    """Asks one server. Connections are pooled and kept; TLS is verified as OpenSSL's settings say.

    It follows no redirect, and takes no cookie, which the next client would send, and no compressed body, which could
    become a large one. It reads neither proxies nor passwords from the environment.

    Args:
        url: of the server.
        timeout: seconds for the whole exchange.
        max_bytes: of the body of an answer.
        connections: most of them at once; further requests wait, which their time-out counts.
        idempotent: whether a request may be sent once more when its connection is closed under it: to ask twice is
            harmless.

    Attributes:
        host: host and port, for logs.
    """

    def __init__(self, url: str, *, timeout: float, max_bytes: int, connections: int, idempotent: bool = True) -> None:
        self._url = URL(url)
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._connections = connections
        self._idempotent = idempotent
        self._session: aiohttp.ClientSession | None = None
        port = "" if self._url.explicit_port is None else f":{self._url.explicit_port}"
        self.host = f"{self._url.host}{port}"

    async def open(self) -> None:
        """Get ready; nothing is connected yet. Call it inside the event loop."""
        connector = aiohttp.TCPConnector(
            limit=self._connections, keepalive_timeout=KEEPALIVE_SECONDS, ttl_dns_cache=int(DNS_SECONDS)
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"relay/{__version__}", "Accept": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ours is for all of it
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, wanted: Collection[int]) -> Reply:
        """Send a GET; for the rest see `post`."""
        return await self._request("GET", wanted, None, {})

    async def post(self, body: bytes, headers: Mapping[str, str], wanted: Collection[int]) -> Reply:
        """Send a POST with JSON, and return the answer.

        Args:
            body: the JSON.
            headers: further headers.
            wanted: HTTP statuses of answers that are read; others are failures.

        Raises:
            CallFailed: there was no such answer.
        """
        return await self._request("POST", wanted, body, {**headers, "Content-Type": "application/json"})

    async def _request(
        self, method: str, wanted: Collection[int], body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    return await self._exchange(method, wanted, body, headers)
                except aiohttp.ClientConnectorError:
                    raise
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    # Mostly it has closed a kept connection in the same moment.
                    if not self._idempotent:
                        raise
                    return await self._exchange(method, wanted, body, headers)
        except TimeoutError:
            raise CallFailed(Failure.TIMEOUT, f"no answer within {self._timeout:g} s") from None
        except aiohttp.ClientResponseError as error:  # its texts repeat what was received
            raise CallFailed(Failure.MALFORMED, f"its answer is not HTTP ({type(error).__name__})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CallFailed(Failure.UNREACHABLE, _in_words(error)) from None

    async def _exchange(
        self, method: str, wanted: Collection[int], body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        session = self._session
        assert session is not None
        # In pieces: all of a large body at once would hold up the event loop.
        data = None if body is None else BytesIO(body)
        async with session.request(method, self._url, data=data, headers=headers, allow_redirects=False) as response:
            status = response.status
            if status not in wanted:
                # Its body is not read: the connection is closed.
                failure = Failure.REDIRECT if 300 <= status < 400 else Failure.STATUS
                raise CallFailed(failure, f"it answers with HTTP status {status}")
            if "Content-Encoding" in response.headers:
                raise CallFailed(Failure.MALFORMED, "its answer is compressed")
            return Reply(status, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        received = bytearray()
        async for chunk in response.content.iter_any():
            received += chunk
            if len(received) > self._max_bytes:
                raise CallFailed(Failure.TOO_LARGE, f"its answer has more than {self._max_bytes} bytes")
        return bytes(received)


def warn_of_plain_http(variable: str, url: str) -> None:
    """Log a warning when what is sent to a URL, or comes from it, can be read and changed on its way.

    Args:
        variable: the setting that holds the URL.
        url: the URL.
    """
    parsed = URL(url)
    if parsed.scheme == "http" and not is_loopback(parsed.host or ""):
        log.warning("URL without TLS", variable=variable, url=url)


def _in_words(error: aiohttp.ClientError | OSError) -> str:
    """Return an error in words, without anything that was sent or received."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return in_words(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return in_words(error.os_error)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it closed the connection before its answer was complete"
        case OSError():
            return in_words(error)
    return f"the request failed ({type(error).__name__})"
