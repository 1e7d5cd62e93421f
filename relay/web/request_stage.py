"""The stages of a connection's present request, and which may follow which. Pure.

What comes from outside has another effect in each stage:

| stage    | bytes come           | client closes its side | deadline passes | gateway drains | response written |
|----------|----------------------|------------------------|-----------------|----------------|------------------|
| IDLE     | they begin a request | end                    | drop            | drop           |                  |
| HEAD     | they go on with it   | 400, end               | 408, end        | drop           |                  |
| BODY     | they go to aiohttp   | 400, end               | drop            |                | REST, or end     |
| REST     | they go to aiohttp   | end                    | drop            |                |                  |
| RESPONSE | they wait, bounded   | respond, then end      | drop            |                | IDLE, or end     |
| COLLECT  | they are kept        | 400, end               | 408, end        | 503, end       |                  |
| UPGRADE  | they wait, bounded   | end                    | 503, end        | 503, end       |                  |
| ENDING   | they are dropped     | end                    | drop            |                |                  |

On the clients' port a drain sends a 503 in HEAD, too, and in IDLE before the first request was answered: see
`relay.gateway.handshake`, which alone knows COLLECT and UPGRADE.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Set
from typing import Final


class Stage(enum.Enum):
    """Where a connection stands with its present request."""

    IDLE = enum.auto()  # nothing of it has come
    HEAD = enum.auto()  # a part of its head has come
    BODY = enum.auto()  # aiohttp has the head, the body is coming
    REST = enum.auto()  # the response is written, aiohttp reads what is left of the body
    RESPONSE = enum.auto()  # all of it has come, the response is being made
    COLLECT = enum.auto()  # the body of a client's request is coming, with what it says first
    UPGRADE = enum.auto()  # a client waits to be let in; its WebSocket or stream takes the socket over
    ENDING = enum.auto()  # nothing more is read, and nothing is written after the last bytes


NEXT: Final[Mapping[Stage, Set[Stage]]] = {
    # A head that comes in one piece skips HEAD.
    Stage.IDLE: {Stage.HEAD, Stage.BODY, Stage.COLLECT, Stage.UPGRADE, Stage.ENDING},
    # Back to IDLE: behind a PROXY header, which comes in front of the first request.
    Stage.HEAD: {Stage.IDLE, Stage.BODY, Stage.COLLECT, Stage.UPGRADE, Stage.ENDING},
    Stage.BODY: {Stage.REST, Stage.RESPONSE, Stage.ENDING},
    Stage.REST: {Stage.IDLE, Stage.ENDING},
    Stage.RESPONSE: {Stage.IDLE, Stage.ENDING},
    Stage.COLLECT: {Stage.UPGRADE, Stage.ENDING},
    Stage.UPGRADE: {Stage.ENDING},
    Stage.ENDING: set(),
}
"""Stage → the stages that may follow it.

It is not looked up while requests come: that would cost a microsecond of each. The tests check every change of a stage.
"""
