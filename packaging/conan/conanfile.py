# SPDX-License-Identifier: MIT OR Apache-2.0
"""threadlocalmap for Conan 2: `conan create .` in this folder.

Problem: the sources are two folders up, and cargo builds them, which Conan has no tool for.

Idea: the recipe exports what the build reads, calls cargo as `make lib` does, and takes the files that
`make install` installs. One package has one of the two libraries, as Conan's users expect.

Invariants: a consumer links the C library alone, nothing of Rust's. The package is the same for every
compiler and build type: it is a C ABI, and cargo builds it optimised.
"""

import glob
import os
import shutil

from conan import ConanFile
from conan.errors import ConanException, ConanInvalidConfiguration
from conan.tools.files import copy, load, rm, rmdir

required_conan_version = ">=2.0"

# What the build and `make install` read.
FOLDERS = ("src", "include", "bindings/c", "bindings/cpp", "cmake", "docs/man", "scripts")
FILES = ("Cargo.toml", "Cargo.lock", "build.rs", "Makefile", "*.in", "LICENSE-*", "tests/*.rs")

# Conan's names of an architecture, and Rust's.
ARCHITECTURES = {"x86_64": "x86_64", "armv8": "aarch64"}


class ThreadlocalmapConan(ConanFile):
    name = "threadlocalmap"
    description = "Weak-keyed thread locals with explicit cleanup, for C and C++ thread pools"
    license = "MIT OR Apache-2.0"
    topics = ("thread-local", "thread-pool", "cleanup")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": True}
    # Cargo writes into its target folder only, and need not build the same sources in two places twice.
    no_copy_source = True

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        manifest = load(self, os.path.join(self._root, "Cargo.toml"))
        self.version = next(line.split('"')[1] for line in manifest.splitlines() if line.startswith("version ="))

    def export_sources(self):
        # Not by patterns for the whole tree: a target folder may be in it.
        for folder in FOLDERS:
            copy(self, "*", os.path.join(self._root, folder), os.path.join(self.export_sources_folder, folder))
        for pattern in FILES:
            for file in glob.glob(os.path.join(self._root, pattern)):
                destination = os.path.join(self.export_sources_folder, os.path.dirname(pattern))
                os.makedirs(destination, exist_ok=True)
                shutil.copy2(file, destination)

    def configure(self):
        # The library is of C, its C++ headers are templates.
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def package_id(self):
        self.info.settings.rm_safe("compiler")
        self.info.settings.rm_safe("build_type")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("threadlocalmap is for Linux")
        if self._cross() and str(self.settings.arch) not in ARCHITECTURES:
            raise ConanInvalidConfiguration(f"no name of cargo's is known for {self.settings.arch}")

    def _cross(self):
        return self.settings.arch != self.settings_build.arch

    def _cargo(self):
        cargo = os.environ.get("CARGO", "cargo")
        if shutil.which(cargo) is None:
            raise ConanException("threadlocalmap is built with cargo, which was not found: see https://rustup.rs")
        return cargo

    def _variables(self):
        """For make, with which target folder and for which machine."""
        target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(self.build_folder, "target")
        variables = [f"CARGO='{self._cargo()}'", f"CARGO_TARGET_DIR='{target}'"]
        if self._cross():
            variables.append(f"CARGO_BUILD_TARGET={ARCHITECTURES[str(self.settings.arch)]}-unknown-linux-gnu")
        return "env " + " ".join(variables)

    def build(self):
        self.run(f"{self._variables()} make lib", cwd=self.source_folder)

    def package(self):
        self.run(f"{self._variables()} make install PREFIX='{self.package_folder}'", cwd=self.source_folder)
        copy(self, "LICENSE-*", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))
        lib = os.path.join(self.package_folder, "lib")
        rm(self, "libthreadlocalmap.a" if self.options.shared else "libthreadlocalmap.so*", lib)
        # Conan writes the first two itself, for what depends on the package; it has no place for manuals.
        rmdir(self, os.path.join(lib, "cmake"))
        rmdir(self, os.path.join(lib, "pkgconfig"))
        rmdir(self, os.path.join(self.package_folder, "share"))

    def package_info(self):
        self.cpp_info.libs = ["threadlocalmap"]
        self.cpp_info.set_property("cmake_file_name", "threadlocalmap")
        self.cpp_info.set_property("cmake_target_name", "threadlocalmap::threadlocalmap")
        # The names that threadlocalmapConfig.cmake has, as far as they fit.
        aliases = ["threadlocalmap::cpp"]
        if not self.options.shared:
            self.cpp_info.system_libs = ["pthread"]
            aliases.append("threadlocalmap::threadlocalmap_static")
        self.cpp_info.set_property("cmake_target_aliases", aliases)
        self.cpp_info.set_property("pkg_config_name", "threadlocalmap")
