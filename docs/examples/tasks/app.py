"""A list of tasks that all users who are logged in share.

Start Redis. Load the settings of docs/guide.md in each terminal: `set -a; . ~/live/.env; set +a`. Then:

    relay serve
    uvicorn app:app --port 8080
"""

import json
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import jwt
from aiohttp import ClientError, ClientSession, ClientTimeout
from fastapi import Body, Cookie, Depends, FastAPI, HTTPException, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

import relay
from relay import AsyncPublisher, PublishError

GATEWAY = "http://localhost:8000"

sessions: dict[str, str] = {}  # your store of sessions: who is logged in
tasks: dict[int, dict[str, Any]] = {}  # your database


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    key = {"X-API-Key": os.environ["RELAY_API_KEYS"]}
    async with (
        AsyncPublisher(os.environ["RELAY_BROKER_URL"]) as app.state.relay,
        ClientSession(GATEWAY, headers=key, timeout=ClientTimeout(5)) as app.state.api,
    ):
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/client", StaticFiles(directory=Path(relay.__file__).parent / "web/client"))


@app.post("/login")
def log_in(name: Annotated[str, Body(embed=True)], response: Response) -> None:
    session = secrets.token_urlsafe()  # and a password, of course
    sessions[session] = name
    response.set_cookie("session", session, httponly=True, samesite="lax")  # and secure=True, with https


def user_of(session: Annotated[str, Cookie()] = "") -> str:
    if session not in sessions:
        raise HTTPException(401, "log in first")
    return sessions[session]


User = Annotated[str, Depends(user_of)]


@app.get("/relay-token")
def relay_token(user: User, response: Response) -> dict[str, str]:
    response.headers["Cache-Control"] = "no-store"
    rights = {"tasks:1": "r", "typing:1": "rw"}
    claims = {"sub": user, "exp": int(time.time()) + 300, "channels": rights}
    return {"user": user, "token": jwt.encode(claims, os.environ["RELAY_JWT_SECRET"], algorithm="HS256")}


async def tell(message: dict[str, Any]) -> None:
    """Tell all open pages. The change counts even if they don't hear of it now."""
    try:
        await app.state.relay.publish("tasks:1", json.dumps(message))
    except PublishError:
        logging.exception("open pages were not told")


@app.post("/tasks")
async def add_task(text: Annotated[str, Body(embed=True)], user: User) -> dict[str, Any]:
    task = {"id": len(tasks) + 1, "text": text, "by": user, "done": False}
    tasks[task["id"]] = task  # first the change,
    await tell({"type": "task", "task": task})  # then the message
    return task


@app.put("/tasks/{number}/done")
async def finish_task(number: int, done: Annotated[bool, Body(embed=True)], user: User) -> dict[str, Any]:
    if number not in tasks:
        raise HTTPException(404, "no such task")
    tasks[number]["done"] = done
    await tell({"type": "task", "task": tasks[number]})
    return tasks[number]


async def ask(method: str, **question: Any) -> dict[str, Any]:
    """Ask the relay's server API."""
    try:
        async with app.state.api.post(f"/api/{method}", json=question) as response:
            return (await response.json())["result"]
    except (ClientError, TimeoutError, KeyError) as error:
        raise HTTPException(503, "the relay gives no answer") from error


async def position_of(channel: str) -> str | None:
    """Return the position of a channel; None while the relay is away: the page works without it."""
    try:
        at = await ask("history", channel=channel)
    except HTTPException:
        return None
    return f"{at['epoch']}:{at['offset']}"


@app.get("/tasks")
async def read_tasks(user: User) -> dict[str, Any]:
    position = await position_of("tasks:1")  # before the tasks are read: nothing can fall between
    return {"tasks": list(tasks.values()), "position": position}


@app.get("/people")
async def read_people(user: User) -> list[str]:
    clients = (await ask("presence", channel="tasks:1"))["presence"].values()
    return sorted({client["user"] for client in clients})


@app.get("/")
def page() -> FileResponse:
    return FileResponse("index.html")


@app.get("/page.js")
def script() -> FileResponse:
    return FileResponse("page.js")
