// SPDX-License-Identifier: MIT OR Apache-2.0
//! An installed copy, used as its users use it.
//!
//! A C project takes a library that its build system finds at the first try. So
//! each test here does what a new user does: installs the library, moves the
//! tree to another place, and builds a program there with the tool that the user
//! has. The programs are those of the examples; the projects are below
//! `tests/install`.
//!
//! What must hold:
//!
//! 1. Every way to install (`make`, CMake, Meson, cargo-c) puts the same files in
//!    place. Where one cannot, its test has the exact list of what is different.
//! 2. A tree that was moved works: nothing in it has an absolute path.
//! 3. A program needs the flags that the tool gives, and no others.
//! 4. What cannot work is an error that says what to do; nothing is installed
//!    then, and never an old file in place of the one that was asked for.
//! 5. Uninstalling removes what was installed, and nothing else.
//!
//! `make check STEPS=install` runs it. A tool that is not here skips its own
//! tests, with the name of its package.

mod support;

#[path = "install/bad_input.rs"]
mod bad_input;
#[path = "install/cargo_c.rs"]
mod cargo_c;
#[path = "install/cmake.rs"]
mod cmake;
#[path = "install/copies.rs"]
mod copies;
#[path = "install/make.rs"]
mod make;
#[path = "install/meson.rs"]
mod meson;
#[path = "install/package.rs"]
mod package;
