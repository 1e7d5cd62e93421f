"""What the back end is asked: a POST with the headers and cookies that it is to see, and JSON. Pure.

    POST /relay/auth HTTP/1.1
    Authorization: Bearer TOKEN
    Cookie: sessionid=...
    Content-Type: application/json

    {"path": "/ws/chat:1", "remote": "203.0.113.7", "parameters": {"device": "phone"}}

Headers and cookies stay what they are, so that the back end's own log-in reads them as it reads those of its pages.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from relay.auth.credential import Unauthenticated, find_credential
from relay.back_ends.passed_on import PassedOn, check_headers, is_plain
from relay.protocols.request import CREDENTIAL_HEADER, ConnectRequest


@dataclass(frozen=True, slots=True)
class Question:
    """One question. Its repr tells nothing of it.

    Args:
        headers: of the POST.
        body: of the POST.
        key: the same for the same question, and for no other; None: the client has shown nothing of its own.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    key: bytes | None = field(repr=False)


class QuestionForm:
    """Makes questions of requests.

    Args:
        headers: names of the headers that are passed on. `Authorization` has the credential, wherever it stood.
        cookies: names of the cookies that are.
        parameters: names of the parameters that are.
        credential_cookie: RELAY_AUTH_COOKIE.
    """

    def __init__(
        self,
        headers: Sequence[str],
        cookies: Sequence[str] = (),
        parameters: Sequence[str] = (),
        credential_cookie: str | None = None,
    ) -> None:
        self._with_credential = CREDENTIAL_HEADER in map(str.lower, headers)
        self._passed_on = PassedOn(headers, cookies)
        self._parameters = parameters
        self._credential_cookie = credential_cookie
        # A digest is no secret only as long as no other program can try credentials against it.
        self._salt = secrets.token_bytes(16)

    def fill_in(self, request: ConnectRequest) -> Question:
        """Return the question about the client that sends a request.

        Raises:
            Refused: what would be passed on can't be: with 401 a credential, with 400 anything else.
        """
        headers = self._passed_on.pick(request)
        if self._with_credential:
            credential = find_credential(request, self._credential_cookie)
            if credential is not None:
                if not is_plain(credential) or " " in credential:
                    raise Unauthenticated("malformed", "the credential has characters that no header can have")
                headers = {name: value for name, value in headers.items() if name.lower() != CREDENTIAL_HEADER}
                headers["Authorization"] = f"Bearer {credential}"
        check_headers(headers)
        parameters = {name: request.query[name] for name in self._parameters if name in request.query}
        body = msgspec.json.encode({"path": request.path, "remote": request.remote, "parameters": parameters})
        return Question(headers, body, self._key(headers, body) if headers or parameters else None)

    def _key(self, headers: Mapping[str, str], body: bytes) -> bytes:
        parts = [f"{name}:{value}".encode() for name, value in headers.items()]
        return hashlib.blake2b(b"\n".join([*parts, body]), digest_size=16, key=self._salt).digest()
