"""How the shop tells open pages."""

import json
from typing import Any

from django.conf import settings
from django.db import transaction

from relay import Publisher

publisher = Publisher(settings.RELAY_BROKER_URL)  # one for the process; after a fork the child connects by itself


def tell(channel: str, message: dict[str, Any]) -> None:
    """Send a message as soon as what it tells of is committed; never when that is rolled back."""
    data = json.dumps(message)
    # robust: when Redis is away Django logs that, and the change counts all the same.
    transaction.on_commit(lambda: publisher.publish(channel, data), robust=True)
