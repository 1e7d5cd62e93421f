"""Reports that take a while: Flask starts one, Celery makes it, and the page shows how far it is.

Start Redis. Load the settings of docs/guide.md in each terminal: `set -a; . ~/live/.env; set +a`. Then:

    relay serve
    celery --app worker worker --loglevel info
    flask run --port 8080
"""

import os
import time

import jwt
from flask import Flask, Response, send_file
from worker import make_report

app = Flask(__name__)


@app.post("/reports")
def begin_report() -> dict[str, str]:
    job = make_report.delay(rows=20)
    channel = f"report:{job.id}"
    # r: hear it. h: ask for what it has said before the page was there.
    claims = {"exp": int(time.time()) + 3600, "channels": {channel: "rh"}}
    return {"channel": channel, "token": jwt.encode(claims, os.environ["RELAY_JWT_SECRET"], algorithm="HS256")}


@app.get("/")
def page() -> Response:
    return send_file("index.html")
