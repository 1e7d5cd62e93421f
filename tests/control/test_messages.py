"""What gateways say to each other, as bytes."""

from __future__ import annotations

import pytest

from relay.channel import check_channel
from relay.control.messages import (
    CONTROL_CHANNEL,
    MAX_ANSWER_BYTES,
    MAX_CHANNELS,
    MAX_ORDER_BYTES,
    DisconnectCommand,
    NodeInfo,
    SurveyReply,
    SurveyRequest,
    ToAll,
    UnsubscribeCommand,
    decode,
    decode_answer,
    encode,
    inbox,
)
from relay.errors import ChannelError, ControlMessageError

ORDERS: list[ToAll] = [
    DisconnectCommand(user="ann", keep=frozenset({"0" * 32}), code=4000, reason="a\nb"),
    UnsubscribeCommand(client="0" * 32, channel="\u20ac"),
    SurveyRequest(asker="0" * 16, number=1, pattern="*"),
]
ANSWERS = [
    SurveyReply(number=1, channels={"a": 2}),
    SurveyReply(number=2, about=NodeInfo("0" * 16, "host:1", "1.0", 1, 2, 3, 4, 5)),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_what_is_said_to_all_is_understood(order: ToAll) -> None:
    assert decode(encode(order)) == order
    with pytest.raises(ControlMessageError):
        decode_answer(encode(order))


@pytest.mark.parametrize("answer", ANSWERS, ids=["channels", "about"])
def test_an_answer_is_understood_by_the_one_who_has_asked(answer: SurveyReply) -> None:
    assert decode_answer(encode(answer)) == answer
    with pytest.raises(ControlMessageError):
        decode(encode(answer))


def test_the_largest_order_and_the_largest_answer_have_room() -> None:
    order = DisconnectCommand(
        user="\\" * 64, keep=frozenset(f"{number:032x}" for number in range(1000)), reason="x" * 123
    )
    assert decode(encode(order)) == order
    answer = SurveyReply(
        number=2**53, channels={f"{number:05}" + '"' * 250: 1_000_000 for number in range(MAX_CHANNELS)}
    )
    assert decode_answer(encode(answer)) == answer


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
        b'{"order":"disconnect","user":"ann"}' + b" " * MAX_ORDER_BYTES,
    ],
    ids=lambda data: data[:40].decode(errors="replace").strip(),
)
def test_what_is_not_understood_is_an_error_in_a_few_words(data: bytes) -> None:
    with pytest.raises(ControlMessageError) as caught:
        decode(data)
    assert 5 < len(str(caught.value)) < 800


def test_an_answer_that_is_too_long_is_not_read() -> None:
    with pytest.raises(ControlMessageError, match="expected at most"):
        decode_answer(b'{"order":"answer","number":1}' + b" " * MAX_ANSWER_BYTES)


@pytest.mark.parametrize("channel", [CONTROL_CHANNEL, inbox("0" * 16)])
def test_no_client_can_name_the_channels(channel: str) -> None:
    with pytest.raises(ChannelError):
        check_channel(channel)
