"""What Centrifugo has answered, in files: with these the relay is compared where there is no Centrifugo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.centrifuge.oracle.player import Transcript

FOLDER: Final = Path(__file__).parent / "recorded"
VERSION: Final = FOLDER / "version.json"

SAME: Final = "the same"
"""Stands for a transcript by Protobuf that is that by JSON."""

Transcripts = dict[str, Transcript]
"""Format → transcript."""


def recorded(theme: str) -> dict[str, Transcripts]:
    """Return the transcripts of a theme by the names of its scripts."""
    file = _file(theme)
    if not file.exists():
        return {}
    stored = json.loads(file.read_text())
    return {
        name: {form: entries["json"] if entry == SAME else entry for form, entry in entries.items()}
        for name, entries in stored.items()
    }


def record(theme: str, transcripts: dict[str, Transcripts]) -> None:
    """Write the transcripts of a theme."""
    stored = {
        name: {
            form: SAME if form != "json" and entry == entries.get("json") else entry for form, entry in entries.items()
        }
        for name, entries in transcripts.items()
    }
    FOLDER.mkdir(exist_ok=True)
    _file(theme).write_text(_dumped(stored))


def recorded_version() -> str:
    """Return the version of Centrifugo that has answered."""
    return str(json.loads(VERSION.read_text())["centrifugo"])


def record_version(version: str) -> None:
    """Write the version of Centrifugo that has answered."""
    VERSION.write_text(json.dumps({"centrifugo": version}) + "\n")


def _file(theme: str) -> Path:
    return FOLDER / f"{theme}.json"


def _dumped(stored: dict[str, dict[str, Transcript | str]]) -> str:
    """Return JSON with a line for each entry of a transcript, which is easily read and compared."""
    lines = []
    for name, entries in stored.items():
        forms = []
        for form, entry in entries.items():
            if isinstance(entry, str):
                forms.append(f"  {json.dumps(form)}: {json.dumps(entry)}")
            else:
                heard = ",\n   ".join(json.dumps(heard, ensure_ascii=False) for heard in entry)
                forms.append(f"  {json.dumps(form)}: [\n   {heard}\n  ]")
        lines.append(f" {json.dumps(name)}: {{\n" + ",\n".join(forms) + "\n }")
    return "{\n" + ",\n".join(lines) + "\n}\n"
