"""Plays a script against a server, and writes down what its clients hear."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from dataclasses import replace
from typing import Any

import jwt

from tests.centrifuge.oracle.connection import Connection
from tests.centrifuge.oracle.masks import Masks
from tests.centrifuge.oracle.script import (
    Api,
    Ask,
    ClientOf,
    Closed,
    FormatName,
    Frame,
    FromNow,
    Hear,
    LastEpoch,
    Leave,
    Open,
    Script,
    Step,
    Token,
)
from tests.centrifuge.oracle.server import Server
from tests.centrifuge.oracle.setups import SECRET
from tests.centrifuge.oracle.wire import WIRES, Json

Transcript = list[Json]
"""What was heard, an entry for each step that hears anything; masked."""

FORGED = "a-secret-that-no-server-of-the-oracle-knows"
LAST_ID = 9999


async def play(script: Script, server: Server, form: FormatName) -> Transcript:
    """Take all steps of a script against a server.

    The transcript has `missing` in place of what didn't come in time, and ends there.
    """
    return await _Play(script, server, form).all()


class _Play:
    def __init__(self, script: Script, server: Server, form: FormatName) -> None:
        self._script = script
        self._server = server
        self._wire = WIRES[form]
        self._url = server.url
        self._word = secrets.token_hex(4)
        self._masks = Masks(self._word)
        self._clients: dict[str, Connection] = {}
        self._epoch = ""
        self._transcript: Transcript = []

    async def all(self) -> Transcript:
        try:
            for step in self._script.steps:
                entry = await self._take(step)
                if entry is not None:
                    self._transcript.append(self._masks.of(entry))
                    if "missing" in entry:
                        break
            else:
                await self._listen_on()
        finally:
            await asyncio.gather(*(client.leave() for client in self._clients.values()))
        return self._transcript

    async def _take(self, step: Step) -> Json | None:
        match step:
            case Open(name, form, pongs):
                wire = WIRES[form] if form else self._wire
                self._clients[name] = await Connection.open(self._url, wire, pongs)
                return None
            case Api(method, params):
                return {"api": method, "result": await self._server.call(method, self._resolved(params))}
            case Leave(name):
                await (await self._client(name)).leave()
                del self._clients[name]
                return None
            case Closed(name):
                client = await self._client(name)
                return {"client": name, "closed": list(client.closed or ())} if await client.ended() else _missing(name)
            case Hear(name, pushes, pings):
                return await self._hear(name, 0, pushes, pings)
            case Frame(name, content, replies):
                content = self._resolved(content) if isinstance(content, str) else content
                await (await self._client(name)).send_frame(content)
                return await self._hear(name, replies, 0)
            case Ask(name, commands, pushes, replies):
                expected = await (await self._client(name)).send(self._resolved(list(commands)))
                return await self._hear(name, expected if replies is None else replies, pushes)

    async def _hear(self, name: str, replies: int, pushes: int, pings: int = 0) -> Json | None:
        client = await self._client(name)
        in_time = await client.heard(replies, pushes, pings)
        told, pushed = client.take(replies, pushes)
        client.pings = 0
        for said in told + pushed:
            self._learn(name, said)
        entry: Json = {"client": name}
        if told:
            entry["replies"] = told
        if pushed:
            # Channels have an order each, and none among them.
            entry["pushes"] = sorted(pushed, key=lambda push: str(push.get("channel", "")))
        if client.closed is not None and (replies or pushes or pings) and len(told) + len(pushed) < replies + pushes:
            entry["closed"] = list(client.closed)
        if not in_time:
            entry["missing"] = True
        return entry if len(entry) > 1 else None

    async def _listen_on(self) -> None:
        """Write down what came and no step has asked for."""
        for name, client in self._clients.items():
            if client.closed is None and client.connected:
                awaited = len(client.replies) + 1
                await client.send([{"id": LAST_ID, "unsubscribe": {"channel": f"nothing-{self._word}"}}])
                await client.heard(awaited)
            replies, pushes = client.take(len(client.replies), len(client.pushes))
            more = [reply for reply in replies if reply.get("id") != LAST_ID] + [{"push": push} for push in pushes]
            if more:
                self._transcript.append(self._masks.of({"client": name, "not asked for": more}))
            if client.too_early:
                self._transcript.append(self._masks.of({"client": name, "too early": client.too_early}))

    async def _client(self, name: str) -> Connection:
        if name not in self._clients:
            self._clients[name] = await Connection.open(self._url, self._wire)
        return self._clients[name]

    def _learn(self, name: str, said: Json) -> None:
        """Remember the id of a client and the newest epoch."""
        if connected := said.get("connect"):
            self._masks.clients[connected["client"]] = name
            for result in connected.get("subs", {}).values():
                self._epoch = result.get("epoch", self._epoch)
        for verb in ("subscribe", "history"):
            self._epoch = said.get(verb, {}).get("epoch", self._epoch)

    def _resolved(self, value: Any) -> Any:
        """Return a value of the script as it is sent."""
        match value:
            case str():
                return value.replace("~", self._word)
            case dict():
                return {self._resolved(key): self._resolved(entry) for key, entry in value.items()}
            case list() | tuple():
                return [self._resolved(entry) for entry in value]
            case Token():
                return self._signed(replace(value, claims=self._resolved(dict(value.claims))))
            case LastEpoch():
                return self._epoch
            case FromNow(seconds):
                return int(time.time()) + seconds
            case ClientOf(client):
                return next(id_ for id_, name in self._masks.clients.items() if name == client)
        return value

    def _signed(self, token: Token) -> str:
        now = int(time.time())
        claims = dict(token.claims)
        for claim in ("exp", "expire_at", "iat", "nbf"):
            if claims.get(claim):
                claims[claim] += now
        return jwt.encode(claims, FORGED if token.forged else SECRET, "HS256")


def _missing(name: str) -> Json:
    return {"client": name, "missing": True}


def numbered(transcript: Transcript) -> Json:
    """Return a transcript by numbers, so that a path into it can be written."""
    return {str(number): entry for number, entry in zip(itertools.count(1), transcript, strict=False)}
