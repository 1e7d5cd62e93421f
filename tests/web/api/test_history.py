"""What a back end learns of histories, over both buses: positions, messages, and keys of repeated messages."""

from __future__ import annotations

import base64

from relay.attributes import encode_publisher, encode_tags
from relay.message import AttributedMessage, Attributes, Kind
from tests.harness.inside import parts_of
from tests.harness.server_api import call, error_of
from tests.harness.websocket_client import connected
from tests.web.api.histories import Start, history, offsets, publish
from tests.web.api.histories import start as start


async def test_the_position_of_a_message_is_in_its_result(start: Start) -> None:
    gateway = await start()
    first, second = await publish(gateway, 1, 2)
    assert (first["offset"], second["offset"]) == (1, 2)
    assert first["epoch"] == second["epoch"] != ""
    assert [set(result) for result in await publish(gateway, 1, channel="counted:a")] == [{"offset", "epoch"}]
    assert await publish(gateway, 1, channel="plain") == [{}]
    reply = await call(gateway.port, "broadcast", {"channels": ["kept:a", "plain", "counted:a"], "data": 3})
    kept, plain, counted = (response["result"] for response in reply["result"]["responses"])
    assert kept == {"offset": 3, "epoch": first["epoch"]}
    assert plain == {}
    assert counted["offset"] == 2
    batch = await call(gateway.port, "batch", {"commands": [{"publish": {"channel": "kept:a", "data": 4}}]})
    assert batch["replies"] == [{"publish": {"offset": 4, "epoch": first["epoch"]}}]


async def test_without_a_limit_only_the_position_is_told(start: Start) -> None:
    gateway = await start()
    nothing = await history(gateway)
    assert (nothing["publications"], nothing["offset"]) == ([], 0)
    (published,) = await publish(gateway, 1)
    assert await history(gateway) == await history(gateway, limit=0) == {"publications": [], **published}
    assert nothing["epoch"] == published["epoch"]
    (counted,) = await publish(gateway, 1, channel="counted:a")
    assert await history(gateway, "counted:a") == {"publications": [], **counted}


async def test_messages_come_from_either_end(start: Start) -> None:
    gateway = await start()
    *_, last = await publish(gateway, *range(1, 8))
    since = {"offset": 4, "epoch": last["epoch"]}
    for parameters, expected in (
        ({"limit": -1}, [3, 4, 5, 6, 7]),
        ({"limit": 2}, [3, 4]),
        ({"limit": 9999}, [3, 4, 5, 6, 7]),
        ({"limit": -1, "reverse": True}, [7, 6, 5, 4, 3]),
        ({"limit": 2, "reverse": True}, [7, 6]),
        ({"limit": -1, "since": since}, [5, 6, 7]),
        ({"limit": 1, "since": since}, [5]),
        ({"limit": -1, "since": {"offset": 4}}, [5, 6, 7]),
        ({"limit": -1, "since": since, "reverse": True}, [3]),
        ({"limit": -1, "since": last}, []),
        ({"limit": -1, "since": {"offset": 0, "epoch": last["epoch"]}}, [3, 4, 5, 6, 7]),
        ({"limit": 2, "since": {"offset": 100}, "reverse": True}, [7, 6]),
    ):
        result = await history(gateway, **parameters)
        assert offsets(result) == expected, parameters
        assert [publication["data"] for publication in result["publications"]] == expected
        assert (result["offset"], result["epoch"]) == (7, last["epoch"])


async def test_a_page_ends_where_the_next_one_can_begin(start: Start) -> None:
    gateway = await start()
    commands = [{"publish": {"channel": "large:a", "data": number}} for number in range(1, 1101)]
    for part in (commands[:1000], commands[1000:]):
        await call(gateway.port, "batch", {"commands": part})
    seen: list[int] = []
    while len(seen) < 1100:
        page = await history(gateway, "large:a", limit=-1, since={"offset": seen[-1] if seen else 0})
        assert page["offset"] == 1100
        seen += offsets(page)
    assert seen == list(range(1, 1101))


async def test_what_is_wrong_with_a_question_is_told(start: Start) -> None:
    gateway = await start()
    (published,) = await publish(gateway, 1)
    epoch = published["epoch"]
    for parameters, code, words in (
        ({"channel": "plain"}, 108, "plain keeps no history"),
        ({"channel": "plain", "limit": 1}, 108, "plain keeps no history"),
        ({"channel": "counted:a", "limit": 1}, 108, "counted:a keeps no history"),
        ({"channel": "a b"}, 107, "channel: must not contain"),
        ({}, 107, "channel"),
        ({"channel": "kept:a", "limit": -2}, 107, "$.limit"),
        ({"channel": "kept:a", "limit": "1"}, 107, "$.limit"),
        ({"channel": "kept:a", "since": "x:1"}, 107, "$.since"),
        ({"channel": "kept:a", "since": {"offset": -1}}, 107, "$.since.offset"),
        ({"channel": "kept:a", "since": {"offset": 2**53}}, 107, "$.since.offset"),
        ({"channel": "kept:a", "since": {"epoch": "x" * 65}}, 107, "$.since.epoch"),
        ({"channel": "kept:a", "since": {"offset": 0}, "reverse": True}, 107, "since.offset"),
        ({"channel": "kept:a", "limit": 1, "since": {"offset": 1, "epoch": "other"}}, 112, f"the epoch is {epoch}"),
        ({"channel": "kept:a", "since": {"offset": 1, "epoch": "other"}}, 112, "unrecoverable position"),
        ({"channel": "kept:a", "limit": 1, "since": {"offset": 2, "epoch": epoch}}, 112, "has the offset 1"),
    ):
        found, message = await error_of(gateway.port, "history", **parameters)
        assert (found, words in message) == (code, True), (parameters, message)


async def test_messages_come_as_what_they_are(start: Start) -> None:
    """Whatever clients have sent, the answer is JSON, and has a field `data`, which `cent` needs."""
    gateway = await start()
    texts = ['{"a":  [1, 2.50, "\\u00e9"] }', "hello \u20ac", '"hello"', "NaN", '["\\x"]']
    binary = bytes(range(256))
    async with connected(f"{gateway.url}/ws/kept:a?echo=1") as (client,):
        for text in texts:
            await client.send(text)
        assert await client.receive(len(texts)) == texts
        result = await history(gateway, limit=-1)
        assert [publication["data"] for publication in result["publications"]] == [
            {"a": [1, 2.5, "\u00e9"]},
            "hello \u20ac",
            "hello",
            "NaN",
            '["\\x"]',
        ]
        assert [publication.get("text", False) for publication in result["publications"]] == [
            False, True, False, True, True
        ]  # fmt: skip
        (id,) = {publication["info"]["client"] for publication in result["publications"]}
        await call(gateway.port, "disconnect", {"client": id})
        assert (await client.ended())[0] == 3503
    await call(gateway.port, "publish", {"channel": "kept:a", "b64data": base64.b64encode(binary).decode()})
    (last,) = (await history(gateway, limit=1, reverse=True))["publications"]
    assert last == {"data": None, "offset": 6, "b64data": base64.b64encode(binary).decode()}


async def test_tags_and_who_has_published_come_along(start: Start) -> None:
    gateway = await start()
    tags = {"kind": "note", "by": "\u00e4"}
    await call(gateway.port, "publish", {"channel": "kept:a", "data": 1, "tags": tags})
    await call(gateway.port, "broadcast", {"channels": ["kept:a", "plain"], "b64data": "AAE=", "tags": tags})
    await publish(gateway, 3)
    node = parts_of(gateway).context.node
    for publisher in (encode_publisher("ann"), encode_publisher(None, b'{"name": "Ann"}', b"[1]")):
        attributes = Attributes(publisher, encode_tags({"a": "b"}))
        await node.submit(AttributedMessage("kept:a", b"4", Kind.TEXT, b"0123456789abcdef", attributes=attributes))
    client = b"0123456789abcdef".hex()
    assert (await history(gateway, limit=-1))["publications"] == [
        {"offset": 1, "data": 1, "tags": tags},
        {"offset": 2, "data": None, "b64data": "AAE=", "tags": tags},
        {"offset": 3, "data": 3},
        {"offset": 4, "data": 4, "info": {"user": "ann", "client": client}, "tags": {"a": "b"}},
        {
            "offset": 5,
            "data": 4,
            "info": {"user": "", "client": client, "conn_info": {"name": "Ann"}, "chan_info": [1]},
            "tags": {"a": "b"},
        },
    ]


async def test_a_history_is_removed_and_its_position_stays(start: Start) -> None:
    gateway = await start()
    *_, last = await publish(gateway, 1, 2)
    async with connected(f"{gateway.url}/ws/kept:a?history=9") as (listener,):
        assert await listener.receive(2) == ["1", "2"]
        assert await call(gateway.port, "history_remove", {"channel": "kept:a"}) == {"result": {}}
        assert await history(gateway, limit=-1) == {"publications": [], **last}
        # Nor does the gateway still have them in memory, where subscribers made it keep them.
        await publish(gateway, 3)
        assert await listener.receive(3) == ["1", "2", "3"]
        async with connected(f"{gateway.url}/ws/kept:a?history=9") as (newcomer,):
            assert await newcomer.receive(1) == ["3"]
    for channel in ("plain", "counted:a"):
        code, message = await error_of(gateway.port, "history_remove", channel=channel)
        assert (code, message) == (108, f"not available: {channel} keeps no history; see history_size")


async def test_commands_of_a_batch_see_what_those_before_them_did(start: Start) -> None:
    gateway = await start()
    one, two = ({"publish": {"channel": "kept:a", "data": number}} for number in (1, 2))
    read, remove = {"history": {"channel": "kept:a", "limit": -1}}, {"history_remove": {"channel": "kept:a"}}
    commands = [one, read, remove, read, two, read, {"history": {"channel": "plain"}}]
    replies = (await call(gateway.port, "batch", {"commands": commands}))["replies"]
    assert [offsets(reply["history"]) for reply in replies if "history" in reply] == [[1], [], [2]]
    assert [reply["error"]["code"] for reply in replies if "error" in reply] == [108]
    assert gateway.counters.api_requests["history 0"] == 3
    assert gateway.counters.api_requests["history 108"] == 1


async def test_a_message_with_a_known_key_is_not_published_again(start: Start) -> None:
    gateway = await start()
    async with connected(f"{gateway.url}/ws/kept:a", f"{gateway.url}/ws/plain") as (kept, plain):
        for channel in ("kept:a", "plain"):
            given = {"channel": channel, "data": 1, "idempotency_key": "order 42"}
            first = await call(gateway.port, "publish", given)
            assert await call(gateway.port, "publish", {**given, "data": 2}) == first
            broadcast = {"channels": [channel], "data": 3, "idempotency_key": "order 42"}
            assert (await call(gateway.port, "broadcast", broadcast))["result"]["responses"] == [first]
            batch = await call(gateway.port, "batch", {"commands": [{"publish": given}] * 2})
            assert batch["replies"] == [{"publish": first["result"]}] * 2
            await call(gateway.port, "publish", {**given, "data": 4, "idempotency_key": "order 43"})
            # Empty, as a library may write it: no key.
            for _ in range(2):
                await call(gateway.port, "publish", {**given, "data": 5, "idempotency_key": ""})
        assert await kept.receive(4) == await plain.receive(4) == ["1", "4", "5", "5"]
    assert gateway.counters.messages_repeated == 8


async def test_a_history_is_not_skipped_in_silence(start: Start) -> None:
    gateway = await start()
    given = {"data": 1, "skip_history": True}
    assert await call(gateway.port, "publish", {"channel": "plain", **given}) == {"result": {}}
    code, message = await error_of(gateway.port, "publish", channel="kept:a", **given)
    assert (code, message) == (108, "not available: skip_history in kept:a, which keeps a history")
    reply = await call(gateway.port, "broadcast", {"channels": ["kept:a", "counted:a"], **given})
    kept, counted = reply["result"]["responses"]
    assert kept["error"]["code"] == 108
    assert counted["result"]["offset"] == 1
