# SPDX-License-Identifier: MIT OR Apache-2.0
"""Builds and runs programs that use the package, by find_package() and by pkg-config's file."""

import os

from conan import ConanFile
from conan.errors import ConanException
from conan.tools.build import can_run
from conan.tools.cmake import CMake, cmake_layout


class ThreadlocalmapTest(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps", "CMakeToolchain", "PkgConfigDeps"
    test_type = "explicit"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        if not os.path.exists(os.path.join(self.generators_folder, "threadlocalmap.pc")):
            raise ConanException("the package is not threadlocalmap for pkg-config")
        if can_run(self):
            for program in ("program", "program_cpp"):
                self.run(os.path.join(self.cpp.build.bindir, program), env="conanrun")
