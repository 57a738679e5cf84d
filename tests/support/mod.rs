// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the test programs that drive a C compiler share.
//!
//! * [`declarations`]: what a header declares.
//! * [`library`]: the library under test, built or installed, and its header.
//! * [`compiler`]: the C and C++ compilers, found as the `cc` crate finds them.
//! * [`sections`]: the order of the header.
//! * [`symbols`]: what a shared library exports and wants.
//! * [`manual`]: what the header says; [`manual_pages`] and [`manual_mdoc`] write man pages of
//!   it, [`manual_site`] what Doxygen makes a site of.
//! * [`manual_cpp`]: the C++ headers as the site has them, and what they declare.
//! * [`process`]: running what was built, with a guard against hanging.
//! * [`suite`]: the programs of the C suite.
//! * [`tools`]: what a check needs and a machine may not have.

// Each test program is a crate of its own and uses a part of this.
#![allow(dead_code)]

pub(crate) mod compiler;
pub(crate) mod declarations;
pub(crate) mod library;
pub(crate) mod manual;
pub(crate) mod manual_cpp;
pub(crate) mod manual_mdoc;
pub(crate) mod manual_pages;
pub(crate) mod manual_site;
pub(crate) mod process;
pub(crate) mod sections;
pub(crate) mod suite;
pub(crate) mod symbols;
pub(crate) mod tools;

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the source tree.
pub(crate) fn source_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory of this name for what a test builds, made if need be.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", directory.display()));
    directory
}

/// Whether the library has its thread-local words in an initial-exec block;
/// the other kind needs `__tls_get_addr`, by design.
pub(crate) const INITIAL_EXEC: bool = !cfg!(feature = "global-dynamic");
