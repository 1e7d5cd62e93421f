"""What of a client's request is passed on to a back end: the headers and cookies that the operator has named. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from relay.auth.credential import find_cookie
from relay.errors import Refused
from relay.protocols.request import ConnectRequest


class PassedOn:
    """Picks headers and cookies out of requests. They stay what they are, so a log-in of pages reads them as its own.

    Args:
        headers: names of the headers that are passed on.
        cookies: names of the cookies that are.
    """

    def __init__(self, headers: Sequence[str], cookies: Sequence[str] = ()) -> None:
        self._headers = headers
        self._cookies = cookies

    def pick(self, request: ConnectRequest) -> dict[str, str]:
        """Return the headers for a back end, `Cookie` among them; those that the client has not sent are left out.

        Raises:
            Refused: with 400, a header or a cookie comes more than once, and which one counts isn't clear.
        """
        picked = {name: value for name in self._headers if (value := request.header(name)) is not None}
        if self._cookies:
            line = request.header("Cookie")
            cookies = {name: value for name in self._cookies if (value := find_cookie(line, name)) is not None}
            if cookies:
                picked["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return picked


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers that can be sent as they are, and as nothing but headers.

    Raises:
        Refused: with 400, for others.
    """
    for name, value in headers.items():
        if not is_plain(value):
            raise Refused(400, f"the header {name} has characters other than printable ASCII")
    return headers


def is_plain(value: str) -> bool:
    """Return whether a header can carry a value as it is, and nothing but a value."""
    return value.isascii() and value.isprintable()
