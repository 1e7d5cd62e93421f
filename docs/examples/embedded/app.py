"""An application with a gateway inside: one process, and no Redis. This starts both:

uvicorn app:app --port 8080
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import FileResponse

from relay import Gateway, Settings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = Settings(port=8000, allowed_origins="http://localhost:8080")  # the rest comes from RELAY_* and .env
    async with Gateway(settings) as app.state.relay:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/say")
async def say(text: str) -> None:
    await app.state.relay.publish("hello", json.dumps({"type": "said", "text": text}))


@app.get("/")
def page() -> FileResponse:
    return FileResponse("../hello/index.html")
