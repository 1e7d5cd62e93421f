"""The pure parsers of the byte path, each called by itself.

| parser | reads |
|---|---|
| head, body, target, cookie | HTTP: the head of a request, a body in chunks, what a URL asks for, cookies |
| opening | what opens a WebSocket or an event stream, with its credential |
| proxy-header, forwarded | what proxies tell of a client's address |
| client-hello | the first message of a TLS client |
| whole-frames, utf-8 | frames, by the short way and by the library, and texts in pieces |
| bus-envelope, control-message | what lies on the bus |
| token, claims, key, api-key, pattern | credentials, and the rights that they give |
| json-commands, protobuf-commands, emulation | what clients of the Centrifuge protocol say |
| json-payload, delta | what stands within what they are told |
| parameters | the bodies of the server API |
"""

from __future__ import annotations

from typing import Final

from tests.fuzz.parsers import bus, centrifuge, credentials, frames, http, opening, proxies, server_api, tls

PARSERS: Final = (
    http.PARSERS
    | opening.PARSERS
    | proxies.PARSERS
    | tls.PARSERS
    | frames.PARSERS
    | bus.PARSERS
    | credentials.PARSERS
    | server_api.PARSERS
    | centrifuge.PARSERS
)
