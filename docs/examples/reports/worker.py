"""The worker of Celery that makes reports."""

import json
import os
import time
from typing import Any

from celery import Celery, Task

from relay import Publisher

REDIS = os.environ["RELAY_BROKER_URL"]

app = Celery("worker", broker=REDIS)
publisher = Publisher(REDIS)  # made before the fork, and safe to be: each process of the pool connects by itself


@app.task(bind=True)
def make_report(self: Task, rows: int) -> None:
    channel = f"report:{self.request.id}"

    def tell(message: dict[str, Any]) -> None:
        publisher.publish(channel, json.dumps(message))

    for done in range(rows):
        tell({"type": "progress", "done": done, "rows": rows})
        time.sleep(0.1)  # the work
    tell({"type": "finished", "rows": rows})
