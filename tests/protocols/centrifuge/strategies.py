"""Commands, results and pushes drawn at random, and what they are written as."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message as ProtobufMessage
from hypothesis import strategies as st
from msgspec import Raw, Struct

from relay.protocols.centrifuge import commands, pushes, results

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
RAWS = JSON_VALUES.filter(lambda value: value is not None).map(lambda value: Raw(json.dumps(value).encode()))
MAYBE_RAWS = st.none() | RAWS
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OFFSETS = st.integers(0, 2**63 - 1)
UINT32 = st.integers(0, 2**32 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)

POSITIONS = st.builds(commands.StreamPosition, OFFSETS, TEXTS)
SUBSCRIBE_REQUESTS = st.builds(
    commands.SubscribeRequest,
    TEXTS,
    TEXTS,
    st.booleans(),
    TEXTS,
    OFFSETS,
    st.just(commands.NO_DATA) | RAWS,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    TEXTS,
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    INT32,
)
DATA = st.just(commands.NO_DATA) | RAWS
REQUESTS: dict[str, st.SearchStrategy[Any]] = {
    "connect": st.builds(
        commands.ConnectRequest,
        TEXTS,
        DATA,
        st.dictionaries(TEXTS, SUBSCRIBE_REQUESTS, max_size=3),
        TEXTS,
        TEXTS,
        st.dictionaries(TEXTS, TEXTS, max_size=3),
    ),
    "subscribe": SUBSCRIBE_REQUESTS,
    "unsubscribe": st.builds(commands.UnsubscribeRequest, TEXTS),
    "publish": st.builds(commands.PublishRequest, TEXTS, DATA, INT32),
    "presence": st.builds(commands.PresenceRequest, TEXTS),
    "presence_stats": st.builds(commands.PresenceStatsRequest, TEXTS),
    "history": st.builds(commands.HistoryRequest, TEXTS, INT32, st.none() | POSITIONS, st.booleans()),
    "ping": st.just(commands.PingRequest()),
    "send": st.builds(commands.SendRequest, DATA),
    "rpc": st.builds(commands.RpcRequest, DATA, TEXTS),
    "refresh": st.builds(commands.RefreshRequest, TEXTS),
    "sub_refresh": st.builds(commands.SubRefreshRequest, TEXTS, TEXTS, INT32),
}
COMMANDS = st.builds(commands.Command, UINT32) | st.sampled_from(sorted(REQUESTS)).flatmap(
    lambda name: st.builds(commands.Command, UINT32, **{name: REQUESTS[name]})
)

ERRORS = st.builds(results.Error, UINT32, TEXTS, st.booleans())
INFOS = st.builds(results.ClientInfo, TEXTS, TEXTS, MAYBE_RAWS, MAYBE_RAWS)
PUBLICATIONS = st.builds(
    results.Publication,
    RAWS,
    st.none() | INFOS,
    OFFSETS,
    st.none() | st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3),
    st.booleans(),
    TEXTS,
)
SUBSCRIBE_RESULTS = st.builds(
    results.SubscribeResult,
    st.booleans(),
    UINT32,
    st.booleans(),
    TEXTS,
    st.none() | st.lists(PUBLICATIONS, min_size=1, max_size=3),
    st.booleans(),
    OFFSETS,
    st.booleans(),
    MAYBE_RAWS,
    st.booleans(),
    st.booleans(),
)
CONNECTS: tuple[Any, ...] = (
    TEXTS,
    TEXTS,
    st.booleans(),
    UINT32,
    MAYBE_RAWS,
    st.none() | st.dictionaries(TEXTS, SUBSCRIBE_RESULTS, min_size=1, max_size=2),
    UINT32,
    st.booleans(),
    TEXTS,
    TEXTS,
    OFFSETS,
)
PRESENCE_RESULTS = st.builds(results.PresenceResult, st.dictionaries(TEXTS, INFOS, max_size=3))
HISTORY_RESULTS = st.builds(results.HistoryResult, st.lists(PUBLICATIONS, max_size=3), TEXTS, OFFSETS)
RESULTS: st.SearchStrategy[results.Result] = st.one_of(
    st.builds(results.ConnectResult, *CONNECTS),
    SUBSCRIBE_RESULTS,
    st.just(results.UnsubscribeResult()),
    st.just(results.PublishResult()),
    PRESENCE_RESULTS,
    st.builds(results.PresenceStatsResult, UINT32, UINT32),
    HISTORY_RESULTS,
    st.builds(results.RpcResult, MAYBE_RAWS),
    st.builds(results.RefreshResult, TEXTS, TEXTS, st.booleans(), UINT32),
    st.builds(results.SubRefreshResult, st.booleans(), UINT32),
)
PUSHES: st.SearchStrategy[pushes.Push] = st.one_of(
    PUBLICATIONS,
    st.builds(pushes.Join, INFOS),
    st.builds(pushes.Leave, INFOS),
    st.builds(pushes.Unsubscribe, UINT32, TEXTS),
    st.builds(pushes.Message, RAWS),
    st.builds(pushes.Subscribe, st.booleans(), TEXTS, OFFSETS, st.booleans(), MAYBE_RAWS),
    st.builds(pushes.Connect, *CONNECTS),
    st.builds(pushes.Disconnect, UINT32, TEXTS),
    st.builds(pushes.Refresh, st.booleans(), UINT32),
)

LATER_FIELDS = {"Publication.epoch", "SubscribeRequest.type", "PublishRequest.type", "SubRefreshRequest.type"}
"""What the public schema has got after the one that Centrifugo's client for Python brings along."""

ALWAYS = {
    "ClientInfo": {"user", "client"},
    "PresenceResult": {"presence"},
    "PresenceStatsResult": {"num_clients", "num_users"},
    "HistoryResult": {"publications", "epoch", "offset"},
    "Error": {"code", "message"},
    "Unsubscribe": {"code", "reason"},
    "Disconnect": {"code", "reason"},
    "ConnectResult": {"client", "version"},
    "Connect": {"client", "version"},
}
"""Fields that JSON always has; the others are left out when they are zero, empty or None."""


def plain(value: Any, data: str = "parsed") -> Any:
    """Return structs as objects of plain Python, without the fields that JSON leaves out.

    Args:
        value: a struct, or what stands in one.
        data: what becomes of `Raw`: "parsed", "raw", or "base64", as Protobuf's library takes it from JSON.
    """
    if isinstance(value, Raw):
        if data == "raw":
            return value
        text = bytes(value)
        return json.loads(text) if data == "parsed" else base64.b64encode(text).decode()
    if isinstance(value, Struct):
        always = ALWAYS.get(type(value).__name__, set())
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        kept = {name: field for name, field in fields.items() if name in always or not _is_zero(field)}
        return {name: plain(field, data) for name, field in kept.items()}
    if isinstance(value, Mapping):
        return {name: plain(item, data) for name, item in value.items()}
    return [plain(item, data) for item in value] if isinstance(value, list) else value


def _is_zero(field: Any) -> bool:
    return field is None or field in (0, "", False, {}, []) if not isinstance(field, Raw) else not bytes(field)


def check_message(message: ProtobufMessage, struct: Struct) -> None:
    """Fail unless a message of Protobuf says what a struct says; but for what the schema of the client lacks."""
    for name in struct.__struct_fields__:
        if f"{type(struct).__name__}.{name}" in LATER_FIELDS:
            continue
        expected, found = getattr(struct, name), getattr(message, name)
        if expected is None:
            assert not message.HasField(name) if isinstance(found, ProtobufMessage) else not found
        elif isinstance(expected, Raw):
            assert found == bytes(expected)
        elif isinstance(expected, Struct):
            assert message.HasField(name)
            check_message(found, expected)
        elif isinstance(expected, Mapping):
            assert set(found) == set(expected)
            for key, item in expected.items():
                if isinstance(item, Struct):
                    check_message(found[key], item)
                else:
                    assert found[key] == item
        elif isinstance(expected, list):
            assert len(found) == len(expected)
            for part, item in zip(found, expected, strict=True):
                check_message(part, item)
        else:
            assert found == expected
