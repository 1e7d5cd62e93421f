"""The table of all settings."""

from __future__ import annotations

from tests.cli.command import invoke
from tests.docs.pages import text_of

BEGIN, END = "<!-- settings: begin (tests/docs/test_settings.py keeps this table true) -->\n", "<!-- settings: end -->"


def test_the_table_of_settings_is_true() -> None:
    """Mend it with what `relay config --markdown` prints."""
    written = text_of("docs/settings.md").partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == invoke("config", "--markdown").output.strip()
