"""The fuzzer of the parsers finds faults that are planted into them: what it can't find says nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Never

import pytest
from click.testing import CliRunner

from relay.auth.credential import Unauthenticated
from relay.auth.signed_claims import ClaimsReader
from relay.auth.tokens import TokenVerifier
from relay.brokers.envelope import open_envelope
from relay.errors import Refused
from relay.message import Kind, Message
from relay.protocols.poll import Poll, open_session
from relay.protocols.request import ConnectRequest, parse_request
from relay.proxies.proxy_header import NO_HEADER, ProxyHeader, read_proxy_header
from tests.fuzz.__main__ import main
from tests.fuzz.case import load
from tests.fuzz.in_parsers import fuzz_parsers, replay_in_parser
from tests.fuzz.in_process import Result
from tests.fuzz.parsers import PARSERS
from tests.fuzz.parsers.batches import Batches, pieces_of

Plant = Callable[[pytest.MonkeyPatch], None]

SEED = 11
BATCH = 250


def found_by_fuzzing(names: Sequence[str], inputs: int) -> Result:
    """Return what comes of some inputs."""
    return fuzz_parsers(SEED, names, lambda tried: tried < inputs, lambda _tried: None, BATCH)


def test_the_parsers_without_a_planted_fault_have_none() -> None:
    for name in PARSERS:
        result = found_by_fuzzing([name], 2 * BATCH)
        assert result.fault is None
        assert result.inputs == {name: 2 * BATCH}


@pytest.mark.parametrize("name", PARSERS)
def test_each_parser_accepts_some_of_its_inputs_and_refuses_others(name: str) -> None:
    """Inputs that are all refused at the first look, or never, would test little."""
    parser, came = PARSERS[name], set()
    for data, _ in Batches(SEED, {name: parser}).next(500).inputs:
        try:
            came.add(parser.read(data) is not None)
        except parser.errors:
            came.add(False)
    assert came == ({True, False} if parser.errors else {True})


def raise_an_index_error(patch: pytest.MonkeyPatch) -> None:
    """A parser looks behind the end of its input."""

    def raising(channel: str, data: bytes) -> Message:
        if data.startswith(b"\xff\x72"):
            data[18]
        return open_envelope(channel, data)

    patch.setattr("tests.fuzz.parsers.bus.open_envelope", raising)


def forget_the_pieces(patch: pytest.MonkeyPatch) -> None:
    """A header counts only when it comes in one piece."""

    def hasty(data: bytes) -> ProxyHeader:
        return read_proxy_header(data) or NO_HEADER

    patch.setattr("tests.fuzz.parsers.proxies.read_proxy_header", hasty)


def repeat_the_token(patch: pytest.MonkeyPatch) -> None:
    """An error repeats a part of the token."""

    def repeating(self: TokenVerifier, token: str, keys: object) -> Never:
        raise Unauthenticated("malformed", f"the token can't be read: {token.rpartition('.')[2]!a}")

    patch.setattr(TokenVerifier, "verify", repeating)


def repeat_the_parameter(patch: pytest.MonkeyPatch) -> None:
    """An error repeats the credential in the URL."""

    def repeating(request: ConnectRequest, cookie: str) -> str | None:
        if found := request.query.get("token"):
            raise Refused(400, f"the token {found!r} is too old")
        return None

    patch.setattr("tests.fuzz.parsers.opening.find_credential", repeating)


def accept_any_signature(patch: pytest.MonkeyPatch) -> None:
    """Who has signed a token doesn't matter."""
    patch.setattr(ClaimsReader, "_check_signature", lambda self, head, signed, signature, keys: None)


def answer_by_turns(patch: pytest.MonkeyPatch) -> None:
    """What a parser says depends on what it has read before."""
    count = 0

    def counting(header: str, name: str) -> str:
        nonlocal count
        count += 1
        return str(count)

    patch.setattr("tests.fuzz.parsers.http.find_cookie", counting)


def return_another_type(patch: pytest.MonkeyPatch) -> None:
    """A parser returns another type than it declares."""

    def untyped(request: ConnectRequest, default: str) -> Any:
        poll = open_session(request, default)
        return poll if poll.cursor is None else (poll.channel, poll.wait)

    patch.setattr("relay.protocols.poll.open_session", untyped)


def refuse_with_500(patch: pytest.MonkeyPatch) -> None:
    """A request of a client is answered as if the gateway were at fault."""

    def failing(target: str, headers: Any, remote: str) -> ConnectRequest:
        try:
            return parse_request(target, headers, remote)
        except Refused as refused:
            raise Refused(500, refused.reason) from None

    patch.setattr("tests.fuzz.parsers.http.parse_request", failing)


def repeat_control_characters(patch: pytest.MonkeyPatch) -> None:
    """An error holds whatever the client has sent."""

    def repeating(request: ConnectRequest, default: str) -> Poll:
        try:
            return open_session(request, default)
        except Refused:
            raise Refused(400, f"these can't be read: {request.query}\n{request.path}") from None

    patch.setattr("relay.protocols.poll.open_session", repeating)


def take_frames_as_they_are(patch: pytest.MonkeyPatch) -> None:
    """The short way in takes pongs for pings."""
    patch.setattr("relay.clients.whole_frames._PONG", 0x89)
    patch.setattr("relay.clients.whole_frames._PING", 0x8A)


def take_binary_for_text(patch: pytest.MonkeyPatch) -> None:
    """The short way in reads another kind than the library."""
    patch.setattr("relay.clients.whole_frames._KINDS", {0x81: Kind.TEXT, 0x82: Kind.TEXT})


def look_again_at_each_byte(patch: pytest.MonkeyPatch) -> None:
    """The work grows with the square of the input."""

    def slow(data: bytes) -> ProxyHeader | None:
        for end in range(min(len(data), 400)):
            for start in range(end):
                data.find(b"\r\n", start, end)
        return read_proxy_header(data)

    patch.setattr("tests.fuzz.parsers.proxies.read_proxy_header", slow)
    patch.setattr("tests.fuzz.in_parsers.COUNTED", 1)


def take_long(patch: pytest.MonkeyPatch) -> None:
    """The work is in one call, as with a regular expression that tries all ways."""
    patch.setattr("tests.fuzz.in_parsers.SECONDS", 0.0)
    patch.setattr("tests.fuzz.in_parsers.SECONDS_PER_BYTE", 0.0)


@pytest.mark.parametrize(
    ("plant", "name", "says"),
    [
        (raise_an_index_error, "bus-envelope", "IndexError is none of its errors"),
        (forget_the_pieces, "proxy-header", "in pieces the same bytes come to something else"),
        (repeat_the_token, "token", "an error repeats a credential"),
        (repeat_the_parameter, "opening", "an error repeats a credential"),
        (accept_any_signature, "token", "a token passes that nobody has signed"),
        (answer_by_turns, "cookie", "the second time the same bytes come to something else"),
        (return_another_type, "target", "it returns a tuple"),
        (refuse_with_500, "target", "it refuses with 500"),
        (repeat_control_characters, "target", "can't be printed"),
        (take_frames_as_they_are, "whole-frames", "the library reads something else"),
        (take_binary_for_text, "whole-frames", "the library reads something else"),
        (look_again_at_each_byte, "proxy-header", "calls for"),
        (take_long, "cookie", "inputs of"),
    ],
)
def test_a_planted_fault_is_found_and_its_input_brings_it_about_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plant: Plant, name: str, says: str
) -> None:
    file = tmp_path / f"in-parsers-{SEED}.json"
    given = ["--parsers", "--inputs", "5000", "--seed", str(SEED), "--target", name, "--folder", str(tmp_path)]
    with monkeypatch.context() as patch:
        plant(patch)
        found = CliRunner().invoke(main, given)
        assert found.exit_code == 1
        assert f"FAULT the parser {name}: " in found.output
        assert says in found.output
        if plant is not take_long:
            assert any(replay_in_parser(case) for case in load(file))
            assert CliRunner().invoke(main, ["--replay", str(file)]).exit_code == 1
    assert CliRunner().invoke(main, ["--replay", str(file)]).exit_code == 0


def test_a_target_of_gateways_is_no_parser() -> None:
    result = CliRunner().invoke(main, ["--parsers", "--target", "http"])
    assert result.exit_code == 2
    assert "no parser is called http" in result.output


def test_the_same_seed_makes_the_same_inputs() -> None:
    one, other, third = ([Batches(seed, PARSERS).next(200) for _ in range(2)] for seed in (1, 1, 2))
    assert one == other != third


def test_pieces_are_all_of_the_data() -> None:
    for data, cuts in Batches(3, {"head": PARSERS["head"]}).next(500).inputs:
        assert not cuts or b"".join(pieces_of(data, cuts)) == data
        assert all(pieces_of(data, cuts))
