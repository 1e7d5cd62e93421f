"""Installs what the SDKs need, into a folder of the project; what can't be had is told, and its tests are skipped."""

from __future__ import annotations

import sys

from tests.centrifuge.sdk.sdks import INSTALLERS, NotHere

if __name__ == "__main__":
    for install in INSTALLERS:
        try:
            install()
        except NotHere as reason:
            sys.stderr.write(f"{reason}\n")
