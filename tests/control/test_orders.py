"""What gateways say to each other, as bytes."""

from __future__ import annotations

import pytest

from relay.channel import check_channel
from relay.control.orders import (
    EVERYBODY,
    About,
    Answer,
    AnyOrder,
    Disconnect,
    OrderError,
    Question,
    Unsubscribe,
    decode_lines,
    encode,
    encode_line,
    inbox,
)
from relay.errors import ChannelError
from relay.message import Message

ORDERS: list[AnyOrder] = [
    Disconnect(user="ann", keep=("0" * 32,), code=4000, reason="a\nb"),
    Unsubscribe(client="0" * 32, channel="\u20ac"),
    Question(asker="0" * 16, number=1, pattern="*"),
    Answer(number=1, channels={"a": 2}),
    Answer(number=2, about=About("0" * 16, "host:1", "1.0", 1, 2, 3, 4, 5)),
]


def test_what_is_said_is_understood_also_several_at_a_time() -> None:
    data = b"".join(encode_line(Message(EVERYBODY, encode(order))) for order in ORDERS)
    assert list(decode_lines(data)) == ORDERS


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"\xff",
        b"{}",
        b'{"order":"unheard"}',
        b'{"order":"disconnect","user":1}',
        b'{"order":"disconnect","version":2}',
        b'{"order":"question"}',
        b'{"order":"answer","number":1,"channels":' + b"[" * 100_000,
        b'{"order":"disconnect","user":"\xff"}',
        b'{"order":"disconnect","user":"ann","code":1000}',
        b'{"order":"disconnect","user":"ann","code":5000}',
        b'{"order":"disconnect","user":"ann","code":4000,"reason":"%b"}' % ("\u20ac" * 42).encode(),
        b'{"order":"question","number":1,"asker":"everybody"}',
        b'{"order":"question","number":1,"asker":"0123456789abcdef","pattern":"%b"}' % (b"a" * 256),
    ],
)
def test_what_is_not_understood_harms_nothing_else(line: bytes) -> None:
    first, wrong, last = decode_lines(b"%b\n%b\n%b\n" % (encode(ORDERS[0]), line, encode(ORDERS[1])))
    assert (first, last) == (ORDERS[0], ORDERS[1])
    assert isinstance(wrong, OrderError)


@pytest.mark.parametrize("channel", [EVERYBODY, inbox("0" * 16)])
def test_no_client_can_name_the_channels(channel: str) -> None:
    with pytest.raises(ChannelError):
        check_channel(channel)
