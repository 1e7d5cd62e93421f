"""The OpenAPI document of the server API, made from what the code checks and answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from relay.version import __version__
from relay.web.api.methods import METHODS
from relay.web.api.not_available import NOT_AVAILABLE
from relay.web.api.parameters import BatchParameters
from relay.web.api.results import BatchReplies, ErrorBody, ErrorReply

_REF = "#/components/schemas/{name}"

_MEANINGS = {
    "publish": "Send a message to a channel; answered when the bus has it.",
    "broadcast": "Send one message to several channels.",
    "history": "Tell the messages that a channel keeps, and its position.",
    "history_remove": "Remove the messages that a channel keeps; its position stays.",
    "presence": "Tell who is on a channel, over all gateways.",
    "presence_stats": "Tell how many are on a channel, over all gateways.",
    "subscribe": "Subscribe the clients of a user, or one client, that can have several subscriptions, to a channel.",
    "unsubscribe": "End the subscription of a user, or of one client, to a channel. A plain client is closed with it.",
    "disconnect": "Close the connections of a user, or of one client, on whatever gateway.",
    "refresh": "Give the clients of a user, or one client, another end of their right, or end it now.",
    "block_user": "Close the connections of a user, on whatever gateway, and refuse the user for a while.",
    "unblock_user": "Refuse a user no longer.",
    "channels": "Tell which channels have clients, and how many, over all gateways.",
    "info": "Tell about all gateways.",
    "batch": "Several commands in one request; they are sent in their order.",
}

_STATUSES = {
    "400": "The body is no JSON.",
    "401": "No valid key.",
    "404": "No such method, or the API is off.",
    "405": "Not a POST.",
    "408": "The body came too slowly.",
    "413": "The body is too large.",
    "415": "The body is compressed, or not in UTF-8.",
    "429": "Too many requests of this address had no valid key.",
}


@cache
def document() -> bytes:
    """Return the document as JSON."""
    types: list[type] = [kind for method in METHODS.values() for kind in (method.parameters, method.result)]
    types += [BatchParameters, BatchReplies, ErrorBody, ErrorReply]
    _, schemas = msgspec.json.schema_components(dict.fromkeys(types), ref_template=_REF)
    paths = {
        f"/api/{name}": _operation(name, _reference(m.parameters), _result(m.result)) for name, m in METHODS.items()
    }
    paths["/api/batch"] = _operation("batch", _reference(BatchParameters), _reference(BatchReplies))
    anything = {"type": "object"}
    paths |= {f"/api/{name}": _operation(name, anything, _reference(ErrorReply)) for name in NOT_AVAILABLE}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "relay server API", "version": __version__, "license": {"name": "MIT"}},
            "paths": paths,
            "security": [{"key": []}, {"authorization": []}],
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                    "authorization": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Authorization",
                        "description": "`apikey`, a space, and a key.",
                    },
                },
            },
        }
    )


def _operation(name: str, parameters: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    either = {"oneOf": [reply, _reference(ErrorReply)]} if reply != _reference(ErrorReply) else reply
    return {
        "post": {
            "operationId": name,
            "summary": _MEANINGS.get(name, "Not available: answered with error 108."),
            "requestBody": {"required": True, "content": _json(parameters)},
            "responses": {"200": {"description": "What came of it, errors included.", "content": _json(either)}}
            | {
                status: {"description": meaning, "content": _json(_reference(ErrorReply))}
                for status, meaning in _STATUSES.items()
            },
        }
    }


def _result(kind: type) -> dict[str, Any]:
    return {"type": "object", "properties": {"result": _reference(kind)}, "required": ["result"]}


def _reference(kind: type) -> dict[str, Any]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
