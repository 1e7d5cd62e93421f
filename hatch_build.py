"""Compiles the native half of the fan-out when the project is built or installed, if there is a C compiler.

Without one everything works, too: each client's transport writes for it. The library knows nothing of Python, so it is
compiled for a platform, and serves every version of Python there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("relay/fan_out")
SOURCE = FOLDER / "native.c"
LIBRARY = FOLDER / "native.so.1"

FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden"]


class NativeHook(BuildHookInterface[Any]):
    """Compiles before a wheel is made: one to be distributed, or the one that an editable installation consists of."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; a wheel with a library is one for this platform."""
        root = Path(self.root)
        why_not = build(root)
        if why_not:
            (root / LIBRARY).unlink(missing_ok=True)  # perhaps one of another version, or of another machine
            self.app.display_warning(f"{LIBRARY} is left out, clients are written to by Python: {why_not}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(str(LIBRARY))


def build(root: Path) -> str:
    """Compile the library; return why there is none, or nothing."""
    if sys.platform == "win32":
        return "Windows has another interface to sockets"
    compiler = shlex.split(os.environ.get("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        return f"there is no C compiler, {compiler[0]}"
    # Under another name first: gateways may run with the library that is there, or be about to load it.
    made = root / LIBRARY.with_suffix(".new")
    command = [*compiler, *FLAGS, "-o", str(made), str(root / SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # the builder's compiler
        if done.returncode:
            return done.stderr.strip() or f"{compiler[0]} has failed"
        made.replace(root / LIBRARY)
    except OSError as error:
        return str(error)
    finally:
        made.unlink(missing_ok=True)
    return ""


if __name__ == "__main__":
    sys.exit(build(Path(__file__).parent) or None)
