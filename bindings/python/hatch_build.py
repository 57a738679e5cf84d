# SPDX-License-Identifier: MIT OR Apache-2.0
"""Puts the shared library into the wheel.

Problem: the module is Python, and works with any CPython of 3.9 or newer; the library is made for a platform.

Idea: cargo builds it, as `make lib` does; the wheel has it beside the modules, where they look first.
Its tag is py3-none-PLATFORM: one wheel for all versions.

Invariants: the sources are those of the repository that this folder is in, or, in a source distribution,
those in its folder `crate`. A wheel without the library is built only if THREADLOCALMAP_WITHOUT_LIBRARY=1 asks
for it: distributions have the library in a package of its own.
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
            raise RuntimeError("the library's sources are not here: build in the repository, or from a source distribution")
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
