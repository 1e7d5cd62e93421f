"""What gateways send each other, as bytes."""

from __future__ import annotations

import pytest
from msgspec import Raw

from relay.channel import check_channel
from relay.control.commands import DisconnectCommand, SubscribeCommand, UnsubscribeCommand
from relay.control.messages import (
    CONTROL_CHANNEL,
    MAX_BROADCAST_BYTES,
    MAX_CHANNELS,
    MAX_INBOX_BYTES,
    MAX_NAME_LETTERS,
    Broadcast,
    ControlMessageError,
    ForgetHistoryCommand,
    NodeAnnouncement,
    NodeInfo,
    NodeShutdown,
    SurveyReply,
    SurveyRequest,
    ToInbox,
    decode_broadcast,
    decode_inbox,
    encode,
    inbox,
)
from relay.errors import ChannelError

UID = "0123456789abcdef"

BROADCASTS: list[tuple[Broadcast, bytes]] = [
    (
        DisconnectCommand(user="ann", keep=frozenset({"0" * 32}), code=4000, reason="a\nb"),
        b'{"order":"disconnect","version":1,"user":"ann","client":null,'
        b'"keep":["00000000000000000000000000000000"],"code":4000,"reason":"a\\nb"}',
    ),
    (
        DisconnectCommand(client="f" * 32),
        b'{"order":"disconnect","version":1,"user":null,"client":"ffffffffffffffffffffffffffffffff",'
        b'"keep":[],"code":0,"reason":""}',
    ),
    (
        UnsubscribeCommand(user="ann", channel="\u20ac"),
        b'{"order":"unsubscribe","version":1,"user":"ann","client":null,"channel":"\xe2\x82\xac"}',
    ),
    (
        UnsubscribeCommand(client="0" * 32, channel="a"),
        b'{"order":"unsubscribe","version":1,"user":null,"client":"00000000000000000000000000000000","channel":"a"}',
    ),
    (
        SubscribeCommand(user="ann", channel="a"),
        b'{"order":"subscribe","version":1,"user":"ann","client":null,"channel":"a"}',
    ),
    (
        SubscribeCommand(client="0" * 32, channel="a", info=Raw(b'{"a":1}'), data=Raw(b"null")),
        b'{"order":"subscribe","version":1,"user":null,"client":"00000000000000000000000000000000","channel":"a",'
        b'"info":{"a":1},"data":null}',
    ),
    (
        ForgetHistoryCommand(channel="chat:1"),
        b'{"order":"forget_history","version":1,"channel":"chat:1"}',
    ),
    (
        SurveyRequest(asker=UID, number=1),
        b'{"order":"question","version":1,"asker":"0123456789abcdef","number":1,"pattern":null}',
    ),
    (
        SurveyRequest(asker=UID, number=2**53, pattern="chat:*"),
        b'{"order":"question","version":1,"asker":"0123456789abcdef","number":9007199254740992,"pattern":"chat:*"}',
    ),
    (
        NodeAnnouncement(uid=UID, name="host:1"),
        b'{"order":"announcement","version":1,"uid":"0123456789abcdef","name":"host:1"}',
    ),
    (NodeShutdown(uid=UID), b'{"order":"shutdown","version":1,"uid":"0123456789abcdef"}'),
]
"""Messages to all gateways, with the bytes that every release writes and reads."""

TO_INBOX: list[tuple[ToInbox, bytes]] = [
    (
        SurveyReply(number=1, channels={"a": 2, '"': 1}),
        b'{"order":"answer","version":1,"number":1,"about":null,"channels":{"a":2,"\\"":1}}',
    ),
    (
        SurveyReply(number=2, about=NodeInfo(UID, "host:1", "1.0", 1, 2, 3, 4, 5)),
        b'{"order":"answer","version":1,"number":2,"about":{"uid":"0123456789abcdef","name":"host:1","version":"1.0",'
        b'"num_clients":1,"num_users":2,"num_subs":3,"num_channels":4,"uptime":5},"channels":null}',
    ),
    (SurveyReply(number=3), b'{"order":"answer","version":1,"number":3,"about":null,"channels":null}'),
    (
        SurveyReply(number=4, uid=UID),
        b'{"order":"answer","version":1,"number":4,"about":null,"channels":null,"uid":"0123456789abcdef"}',
    ),
]
"""Messages to one gateway, with the bytes that every release writes and reads."""


@pytest.mark.parametrize(("message", "data"), BROADCASTS)
def test_a_broadcast_keeps_its_bytes_so_that_releases_can_be_mixed(message: Broadcast, data: bytes) -> None:
    """The bytes of commands and surveys were written down before the classes got their present names."""
    assert encode(message) == data
    assert decode_broadcast(data) == message


@pytest.mark.parametrize(("message", "data"), TO_INBOX)
def test_a_message_to_one_gateway_keeps_its_bytes_so_that_releases_can_be_mixed(message: ToInbox, data: bytes) -> None:
    assert encode(message) == data
    assert decode_inbox(data) == message


@pytest.mark.parametrize("data", [data for message, data in BROADCASTS if not isinstance(message, NodeAnnouncement)])
def test_what_is_for_all_gateways_is_refused_in_an_inbox(data: bytes) -> None:
    with pytest.raises(ControlMessageError):
        decode_inbox(data)


@pytest.mark.parametrize("data", [data for _, data in TO_INBOX])
def test_a_reply_is_refused_on_the_channel_of_all_gateways(data: bytes) -> None:
    with pytest.raises(ControlMessageError):
        decode_broadcast(data)


def test_fields_of_a_later_release_are_ignored() -> None:
    message, data = BROADCASTS[0]
    assert decode_broadcast(data[:-1] + b',"unheard":[{}]}') == message


def test_the_largest_command_and_the_largest_reply_have_room() -> None:
    keep = frozenset(f"{number:032x}" for number in range(1000))
    command = DisconnectCommand(user="\\" * 64, keep=keep, reason="x" * 123)
    assert decode_broadcast(encode(command)) == command
    channels = {f"{number:05}" + '"' * 250: 1_000_000 for number in range(MAX_CHANNELS)}
    reply = SurveyReply(number=2**53, channels=channels, uid=UID)
    assert decode_inbox(encode(reply)) == reply


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff",
        b"{}",
        b"\n" * 60_000,
        b'{"order":"unheard"}',
        b'{"order":"disconnect","user":1}',
        b'{"order":"disconnect","version":2}',
        b'{"order":"disconnect"}\n{"order":"disconnect"}',
        b'{"order":"question"}',
        b'{"order":"disconnect","keep":' + b"[" * 60_000,
        b'{"order":"disconnect","user":"\xff"}',
        b'{"order":"disconnect","user":"ann","code":1000}',
        b'{"order":"disconnect","user":"ann","code":5000}',
        b'{"order":"disconnect","user":"ann","code":4000,"reason":"%b"}' % ("\u20ac" * 42).encode(),
        b'{"order":"question","number":1,"asker":"everybody"}',
        b'{"order":"question","number":1,"asker":"0123456789abcdef","pattern":"%b"}' % (b"a" * 256),
        b'{"order":"question","number":%b,"asker":"0123456789abcdef"}' % (b"1" * 5000),
        b'{"order":"%b"}' % (b"x" * 60_000),
        b'{"order":"disconnect","user":"ann"}' + b" " * MAX_BROADCAST_BYTES,
        b'{"order":"announcement","uid":"0123456789abcdef"}',
        b'{"order":"announcement","uid":"0123456789ABCDEF","name":"host:1"}',
        b'{"order":"announcement","uid":"0123456789abcdef","name":"%b"}' % (b"x" * (MAX_NAME_LETTERS + 1)),
        b'{"order":"shutdown","uid":"everybody"}',
    ],
    ids=lambda data: data[:40].decode(errors="replace").strip(),
)
def test_a_malformed_broadcast_is_an_error_in_a_few_words(data: bytes) -> None:
    with pytest.raises(ControlMessageError) as caught:
        decode_broadcast(data)
    assert 5 < len(str(caught.value)) < 800


def test_a_reply_that_is_too_long_is_not_read() -> None:
    with pytest.raises(ControlMessageError, match="expected at most"):
        decode_inbox(b'{"order":"answer","number":1}' + b" " * MAX_INBOX_BYTES)


@pytest.mark.parametrize("channel", [CONTROL_CHANNEL, inbox("0" * 16)])
def test_no_client_can_name_the_channels(channel: str) -> None:
    with pytest.raises(ChannelError):
        check_channel(channel)
