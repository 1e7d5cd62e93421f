"""Frames: several commands in one, and malformed ones."""

from __future__ import annotations

from typing import Final

from tests.centrifuge.oracle.script import (
    Closed,
    Frame,
    Script,
    ask,
    connect,
    presence,
    publish,
    script,
    subscribe,
    unsubscribe,
)

JSON: Final = ("json",)
PROTOBUF: Final = ("protobuf",)


def _malformed(name: str, content: str | bytes) -> Script:
    """A frame that ends the connection of a client that was let in."""
    form = JSON if isinstance(content, str) else PROTOBUF
    return script(name, ask("a", connect()), Frame("a", content), Closed("a"), formats=form)


def _answered(name: str, content: str, replies: int = 1) -> Script:
    """A frame of JSON that is answered, of a client that was let in."""
    return script(name, ask("a", connect()), Frame("a", content, replies), formats=JSON)


SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "connect and subscribe in the first frame",
        ask("a", connect(), subscribe("open:1~"), subscribe("open:2~"), unsubscribe("open:1~")),
    ),
    script(
        "commands of one frame are answered in their order",
        ask("a", connect()),
        ask("a", subscribe("open:~"), publish("open:~", 1), presence("open:1~"), pushes=1),
    ),
    script(
        "a malformed line behind a good one",
        ask("a", connect()),
        Frame("a", '{"id":2,"subscribe":{"channel":"open:~"}}\n{', 1),
        Closed("a"),
        formats=JSON,
    ),
    _answered("a line end behind the last command", '{"id":2,"subscribe":{"channel":"open:~"}}\n'),
    _answered(
        "empty lines between commands",
        '{"id":2,"subscribe":{"channel":"open:1~"}}\n\n{"id":3,"subscribe":{"channel":"open:2~"}}',
        2,
    ),
    _answered(
        "two commands on one line",
        '{"id":2,"subscribe":{"channel":"open:1~"}}{"id":3,"subscribe":{"channel":"open:2~"}}',
    ),
    _answered("white space in a command", ' {"id" : 2, "subscribe": {"channel": "open:~"} } '),
    script(
        "ids needn't rise",
        ask("a", {"id": 7, **connect()}),
        ask("a", {"id": 3, **subscribe("open:1~")}, {"id": 3, **subscribe("open:2~")}),
    ),
    script("the largest id", ask("a", {"id": 4294967295, **connect()})),
    script(
        "a JSON client that sends a binary frame",
        Frame("a", b'{"id":1,"connect":{"token":""}}', 1),
        setup="anonymous",
        formats=JSON,
    ),
    script("a first frame that is no JSON", Frame("a", "hello"), Closed("a"), formats=JSON),
    script("a first frame that is no Protobuf", Frame("a", b"\x03\xff\xff\xff"), Closed("a"), formats=PROTOBUF),
    _malformed("an empty frame", ""),
    _malformed("an empty binary frame", b""),
    _malformed("a frame that is no JSON", "hello"),
    _malformed("a frame with half an object", '{"id":2,"subscribe":{"channel":'),
    _malformed("a list", "[]"),
    _malformed("a number", "1"),
    _malformed("null", "null"),
    _malformed("a command without an id", '{"subscribe":{"channel":"open:~"}}'),
    _malformed("a command with id 0", '{"id":0,"subscribe":{"channel":"open:~"}}'),
    _malformed("a negative id", '{"id":-1,"subscribe":{"channel":"open:~"}}'),
    _malformed("an id that is text", '{"id":"2","subscribe":{"channel":"open:~"}}'),
    _malformed("an id above 32 bits", '{"id":4294967296,"subscribe":{"channel":"open:~"}}'),
    _malformed("an id with a fraction", '{"id":2.5,"subscribe":{"channel":"open:~"}}'),
    _malformed("an id alone", '{"id":2}'),
    _malformed("a command that nobody knows", '{"id":2,"dance":{}}'),
    _malformed("a command that is null", '{"id":2,"subscribe":null}'),
    _malformed("a command that is no object", '{"id":2,"subscribe":"open:~"}'),
    _malformed("a command of the protocol's ping", '{"id":2,"ping":{}}'),
    _malformed("a channel that is a number", '{"id":2,"subscribe":{"channel":5}}'),
    _malformed("a length that nothing follows", b"\x05"),
    _malformed("a length without end", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    _malformed("a message that is no command", b"\x03\xff\xff\xff"),
    _malformed("an id alone in Protobuf", b"\x02\x08\x02"),
    _answered(
        "two commands in one object",
        '{"id":2,"publish":{"channel":"open:~","data":1},"subscribe":{"channel":"open:~"}}',
    ),
    _answered("a field twice", '{"id":2,"id":3,"subscribe":{"channel":"open:1~","channel":"open:2~"}}'),
    _answered("names of fields in capitals", '{"ID":2,"Subscribe":{"Channel":"open:~"}}'),
    *(
        _malformed(f"{verb} without a channel", f'{{"id":2,"{verb}":{{}}}}')
        for verb in ("subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history", "sub_refresh")
    ),
    script("a frame larger than 64 KiB", ask("a", connect()), Frame("a", "x" * 65537), Closed("a"), formats=JSON),
    script("send, which nobody handles", ask("a", connect()), ask("a", {"send": {"data": {"x": 1}}}), Closed("a")),
    script("send with an id", ask("a", connect()), ask("a", {"id": 2, "send": {"data": 1}}, replies=0), Closed("a")),
    script(
        "rpc, for which there is no back end",
        ask("a", connect()),
        ask("a", {"rpc": {"method": "add", "data": {"x": 1}}}, {"rpc": {}}),
    ),
)
