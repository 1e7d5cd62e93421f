"""The server API for back ends: Centrifugo's HTTP API, as far as a relay without presence can offer it.

What a back end sends (`parameters`) and gets (`results`, `error`), what each method does (`methods`), one command or a
batch of them (`commands`), and the HTTP around it (`endpoint`, `openapi`). Keys are checked in `relay.auth.api_keys`.
"""

from relay.web.api.endpoint import add_routes

__all__ = ["add_routes"]
