"""The server API, for back ends: Centrifugo's HTTP API, as far as a relay without history can have it.

One noun a file: what a back end sends (`parameters`), what it gets (`results`, `error`), what each method does
(`methods`), who may call (`keys`), and the HTTP around it (`endpoint`, `openapi`).
"""

from relay.web.api.endpoint import add_routes

__all__ = ["add_routes"]
