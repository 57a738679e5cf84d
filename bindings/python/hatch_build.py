# SPDX-License-Identifier: MIT OR Apache-2.0
"""Puts the shared library into the wheel.

Problem: the module is written in Python and works with every CPython of 3.9 or newer, but the shared library
is built for one platform.

Idea: cargo builds the library, as `make lib` does. The wheel has it in the folder of the modules, which is
where they look first. The tag of the wheel is py3-none-PLATFORM: there is one wheel for all versions of Python.

Invariants: the sources are those of the repository that contains this folder or, in a source distribution,
those in its folder `crate`. A wheel without the library is built only if THREADLOCALMAP_WITHOUT_LIBRARY is 1;
Linux distributions need this, because they have a separate package for the library.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it writes a wheel or a source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or os.environ.get("THREADLOCALMAP_WITHOUT_LIBRARY") == "1":
            return
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + re.sub(r"[^0-9A-Za-z]", "_", sysconfig.get_platform())
        build_data["force_include"][str(self._library())] = "threadlocalmap/libthreadlocalmap.so.0"

    def _library(self) -> Path:
        here = Path(self.root)
        crate = here / "crate"
        if not crate.is_dir():
            crate = here.parent.parent
        if not (crate / "Cargo.toml").is_file():
            raise RuntimeError("the sources of the library were not found: build in the repository, or from a source distribution")
        cargo = os.environ.get("CARGO", "cargo")
        if shutil.which(cargo) is None:
            raise RuntimeError("threadlocalmap builds its library with cargo, which was not found: see https://rustup.rs")
        target = Path(os.environ.get("CARGO_TARGET_DIR") or crate / "target")
        if not target.is_absolute():
            target = crate / target
        subprocess.run(
            [cargo, "rustc", "--locked", "--quiet", "--release", "--lib", "--crate-type", "cdylib,staticlib"]
            + ["--manifest-path", str(crate / "Cargo.toml"), "--target-dir", str(target)],
            check=True,
            cwd=crate,
        )
        return target / "release" / "libthreadlocalmap.so"
