"""The smallest back end with live updates: what is posted to /say appears on every open page.

Start Redis, the relay, and this:

    RELAY_BROKER_URL=redis://localhost:6379 RELAY_ALLOWED_ORIGINS=http://localhost:8080 relay serve
    uvicorn app:app --port 8080
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import FileResponse

from relay import AsyncPublisher


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncPublisher("redis://localhost:6379") as app.state.relay:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/say")
async def say(text: str) -> None:
    await app.state.relay.publish("hello", json.dumps({"type": "said", "text": text}))


@app.get("/")
def page() -> FileResponse:
    return FileResponse("index.html")
