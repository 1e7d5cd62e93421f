"""The command `relay` with a bug: python -m tests.faults.planted BUG serve."""

from __future__ import annotations

import sys

from tests.faults.planted.bugs import BUGS

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    # What the bug has changed is loaded with its change.
    from relay.cli import main

    main(prog_name="relay")
