"""The WebSocket URL of a channel, and the argument that names one."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from relay.cli.channel_url import ChannelArgument, channel_url


@pytest.mark.parametrize(
    ("gateway", "channel", "expected"),
    [
        ("ws://127.0.0.1:8000", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("ws://127.0.0.1:8000/", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("ws://127.0.0.1:8000/ws", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("ws://127.0.0.1:8000/ws/", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("http://localhost:8000", "lobby", "ws://localhost:8000/ws/lobby"),
        ("ws://127.0.0.1:8000/ws/lobby", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("ws://127.0.0.1:8000/ws/lobby/", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("http://127.0.0.1:8000/sse/lobby", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("http://127.0.0.1:8000/poll/lobby", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("http://127.0.0.1:8000/publish/lobby", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("http://127.0.0.1:8000/readyz", "lobby", "ws://127.0.0.1:8000/ws/lobby"),
        ("wss://h/relay/ws/a/ws/b", "a/ws/b", "wss://h/relay/ws/a%2Fws%2Fb"),
        ("ws://h/ws/%E9%9B%AA", "雪", "ws://h/ws/%E9%9B%AA"),
        ("ws://h/wsx", "lobby", "ws://h/wsx/ws/lobby"),
        ("https://example.org/relay", "lobby", "wss://example.org/relay/ws/lobby"),
        ("ws://[::1]:8000", "news:eu", "ws://[::1]:8000/ws/news:eu"),
        ("ws://h", "a/../b", "ws://h/ws/a%2F..%2Fb"),
        ("ws://h", "100%?#&", "ws://h/ws/100%25%3F%23%26"),
        ("ws://h", "雪", "ws://h/ws/%E9%9B%AA"),
    ],
)
def test_a_channel_has_a_url(gateway: str, channel: str, expected: str) -> None:
    """Every legal name arrives unchanged; a path in front of /ws stays."""
    assert str(channel_url(gateway, channel)) == expected


def test_a_publisher_can_ask_for_its_echo() -> None:
    """As proof of delivery."""
    assert str(channel_url("ws://h", "lobby", echo=True)) == "ws://h/ws/lobby?echo=1"


@pytest.mark.parametrize(
    "gateway",
    [
        *(
            "localhost:8000",
            "redis://h",
            "ws://",
            "ws://h:port",
            "ws://[h",
            "ws://h?a=b",
            "ws://ann:secret@h",
            "ws://h/ws/%",
        ),
        "ws://h/ws/a b",
    ],
)
def test_what_is_no_gateway_is_wrong_usage(gateway: str) -> None:
    """Reported before anything is connected."""
    with pytest.raises(click.UsageError, match="--gateway"):
        channel_url(gateway, "lobby")


@pytest.mark.parametrize("gateway", ["ws://h:8000/ws/news", "http://h:8000/sse/news/", "ws://h:8000/ws/lobby/lobby"])
def test_an_address_of_another_channel_is_wrong_usage(gateway: str) -> None:
    """The command would use one of the two, and the user may mean the other."""
    with pytest.raises(click.UsageError, match=r"names the channel '.*', and the command 'lobby': .* ws://h:8000$"):
        channel_url(gateway, "lobby")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "ws://127.0.0.1:9000/ws/lobby"),
        ("0.0.0.0", "ws://127.0.0.1:9000/ws/lobby"),
        ("::", "ws://[::1]:9000/ws/lobby"),
        ("::1,127.0.0.1", "ws://[::1]:9000/ws/lobby"),
        ("relay.example.org", "ws://relay.example.org:9000/ws/lobby"),
    ],
)
def test_the_gateway_of_this_machine_comes_from_the_settings(
    host: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A gateway that listens on all addresses is reached at the loopback."""
    monkeypatch.setenv("RELAY_HOST", host)
    (tmp_path / ".env").write_text("RELAY_PORT=9000\n")
    assert str(channel_url(None, "lobby")) == expected


def test_a_gateway_on_any_free_port_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port can't be known."""
    monkeypatch.setenv("RELAY_PORT", "0")
    with pytest.raises(click.UsageError, match="--gateway"):
        channel_url(None, "lobby")


def test_an_illegal_channel_is_wrong_usage() -> None:
    """With the rule that it breaks."""
    assert ChannelArgument().convert("a/b:c", None, None) == "a/b:c"
    with pytest.raises(click.BadParameter, match="white space"):
        ChannelArgument().convert("a b", None, None)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("ws://h:8000/ws/lobby", "lobby --gateway ws://h:8000"),
        ("https://h/relay/sse/a/b", "a/b --gateway wss://h/relay"),
        ("ws://h:8000", "CHANNEL --gateway ws://h:8000"),
        ("ws://", "CHANNEL --gateway URL"),
    ],
)
def test_an_address_in_place_of_a_channel_is_wrong_usage(given: str, instead: str) -> None:
    """It is what a WebSocket client takes; as a channel's name the command would wait there for ever."""
    with pytest.raises(click.BadParameter) as error:
        ChannelArgument().convert(given, None, None)
    assert error.value.message == f"{given!r} is an address, not a channel: write {instead}"
