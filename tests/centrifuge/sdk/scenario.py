"""What each SDK goes through, and what it must have in the end."""

from __future__ import annotations

from typing import Any

from tests.centrifuge.sdk.cluster import Cluster
from tests.centrifuge.sdk.driven import CHANNEL, USER, Driven
from tests.centrifuge.sdk.numbers import Numbers

SOME = 10
"""Messages between two faults."""

ALL = 300
"""A limit above what the namespace keeps: `history` gives everything."""


class Scenario:
    """One client, a back end that publishes numbers all the time, and faults.

    Args:
        client: an SDK that connects, and subscribes to the channel.
        cluster: the servers.
    """

    def __init__(self, client: Driven, cluster: Cluster) -> None:
        self._client = client
        self._cluster = cluster
        self._repaired: set[int] = set()

    def play(self) -> None:
        """Take all steps."""
        self._begin()
        with Numbers(CHANNEL, lambda: self._cluster.ports) as numbers:
            self._goes_on(numbers)
            for fault in (self._cluster.kill_first, self._cluster.drain_first):
                before = len(self._client.all("subscribed"))
                fault()
                self._client.wait(lambda known=before: len(self._client.all("subscribed")) > known, "subscribed again")  # type: ignore[misc]
                self._goes_on(numbers)
                assert self._all_recovered(), self._client.all("subscribed")
            self._cluster.redis.restart()
            self._goes_on(numbers)
            self._outlives_a_token(numbers)
            last = numbers.stop()
        self._client.wait(lambda: last in self._heard(), f"message {last}")
        self._judge(last)
        self._client.ask("end")
        self._client.wait(lambda: self._client.all("disconnected"), "disconnected")

    def _begin(self) -> None:
        """Connect, subscribe, publish, and ask who is there."""
        client = self._client
        client.wait(lambda: client.all("subscribed"), "subscribed")
        client.wait(lambda: client.all("join"), "the client hears of its own coming")
        client.ask("publish", data={"hello": "world"})
        client.wait(lambda: client.all("publication"), "the client's own message")
        assert client.all("publication")[0]["data"] == {"hello": "world"}
        assert client.ask("presence") == [USER]
        assert client.ask("stats") == [1, 1]
        assert client.ask("history", limit=ALL) == [{"hello": "world"}]

    def _goes_on(self, numbers: Numbers) -> None:
        """Wait until the client has some more messages; what it was told to have missed it reads from the history."""
        awaited = numbers.published + SOME
        self._client.wait(lambda: max(self._heard(), default=0) >= awaited, f"message {awaited}")
        if not self._all_recovered():
            kept = self._client.ask("history", limit=ALL)
            self._repaired |= {data["number"] for data in kept if "number" in data}

    def _outlives_a_token(self, numbers: Numbers) -> None:
        """Go on until the SDK has fetched other tokens for a connection and a subscription that stay."""
        before = {event: len(self._client.all(event)) for event in ("connected", "subscribed", "unsubscribed")}
        for channel in ("", CHANNEL):
            tokens = len(self._tokens(channel))
            self._client.wait(
                lambda channel=channel, known=tokens: len(self._tokens(channel)) > known,  # type: ignore[misc]
                f"another token of {channel or 'the connection'}",
            )
        self._goes_on(numbers)
        assert {event: len(self._client.all(event)) for event in before} == before, "both outlive their tokens"

    def _tokens(self, channel: str) -> list[dict[str, Any]]:
        return [event for event in self._client.all("token") if event["channel"] == channel]

    def _judge(self, last: int) -> None:
        heard = self._heard()
        assert len(heard) == len(set(heard)), f"some came twice: {sorted(n for n in set(heard) if heard.count(n) > 1)}"
        assert heard == sorted(heard), "they came in their order"
        missing = set(range(1, last + 1)) - set(heard) - self._repaired
        assert not missing, f"{len(missing)} of {last} are lost: {sorted(missing)[:20]}"
        assert not self._client.all("disconnected"), self._client.all("disconnected")
        # Of the killed server its former connection is still listed, until its time is over.
        assert set(self._client.ask("presence")) == {USER}

    def _heard(self) -> list[int]:
        publications: list[dict[str, Any]] = self._client.all("publication")
        return [publication["data"]["number"] for publication in publications if "number" in publication["data"]]

    def _all_recovered(self) -> bool:
        return all(event["recovered"] for event in self._client.all("subscribed")[1:])
