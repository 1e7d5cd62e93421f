"""A command without its extra says which one it needs, and how to install it."""

from __future__ import annotations

import click
import pytest

from relay.cli.extras import require_extra
from tests.cli.command import invoke


def test_an_installed_extra_is_accepted() -> None:
    require_extra("loadtest", "relay loadtest", ("json", "numpy"))


def test_the_extra_is_named_with_the_way_to_install_it() -> None:
    """Not its modules: one of them alone would not do, and may be another package's."""
    with pytest.raises(click.UsageError) as caught:
        require_extra("more", "relay this", ("json", "no_such_module", "nor_this_one"))
    message = (
        "relay this needs the extra 'more': pip install 'relay-pubsub[more]', or in a checkout: pip install '.[more]'"
    )
    assert caught.value.message == message


def test_a_command_without_its_extra_ends_with_2_and_its_help_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.cli.extras.find_spec", lambda name: None if name in ("numpy", "hdrh") else object())
    result = invoke("loadtest", "ws://127.0.0.1:1")
    assert result.exit_code == 2
    assert "relay loadtest needs the extra 'loadtest': pip install 'relay-pubsub[loadtest]'" in result.stderr
    assert invoke("loadtest", "--help").exit_code == 0
