"""Masks hide what differs between two plays, and nothing else."""

from __future__ import annotations

from tests.centrifuge.oracle.masks import Masks


def test_hides_what_is_of_one_play() -> None:
    """Ids by their clients, epochs by their order, times altogether."""
    masks = Masks("0badcafe")
    masks.clients["c-1"] = "a"
    said = {
        "connect": {"client": "c-1", "version": "6.9.1", "ttl": 3599, "subs": {"news-0badcafe": {"epoch": "x"}}},
        "presence": {"c-1": {"user": "42-0badcafe", "client": "c-1"}},
        "epochs": [{"epoch": "y"}, {"epoch": "x"}],
    }
    assert masks.of(said) == {
        "connect": {
            "client": "<client a>",
            "version": "<version>",
            "ttl": "<ttl>",
            "subs": {"news-~": {"epoch": "<epoch 1>"}},
        },
        "presence": {"<client a>": {"user": "42-~", "client": "<client a>"}},
        "epochs": [{"epoch": "<epoch 2>"}, {"epoch": "<epoch 1>"}],
    }


def test_shows_what_is_empty() -> None:
    """A field that is there and empty isn't the same as one that holds something."""
    assert Masks("~").of({"ttl": 0, "epoch": "", "version": ""}) == {"ttl": 0, "epoch": "", "version": ""}
