// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C and C++ compilers.
//!
//! The `cc` crate knows which they are (`CC`, `CXX`, cross compilers) and what
//! the user wants of them (`CFLAGS`, `CXXFLAGS`). It is made for build scripts,
//! which have target and host in their environment; here they are given.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::library::{Library, HOST, TARGET};
use super::process::try_output_of;

/// A language and its standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standard {
    /// As the compiler's `-std=` has it.
    pub(crate) name: &'static str,
    /// C++ and not C.
    pub(crate) cpp: bool,
}

impl Standard {
    pub(crate) const fn c(name: &'static str) -> Self {
        Self { name, cpp: false }
    }

    pub(crate) const fn cpp(name: &'static str) -> Self {
        Self { name, cpp: true }
    }
}

/// What no C or C++ that belongs to this library may cause a word about.
pub(crate) const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// How a program is linked with the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linkage {
    Shared,
    Static,
}

impl Linkage {
    pub(crate) const BOTH: [Self; 2] = [Self::Shared, Self::Static];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Static => "static",
        }
    }
}

/// The compiler for a standard, ready for a source or for objects.
pub(crate) fn compiler(standard: Standard) -> Command {
    let mut build = cc::Build::new();
    build
        .target(TARGET)
        .host(HOST)
        .opt_level(2)
        .debug(true)
        .pic(false)
        .cpp(standard.cpp)
        .std(standard.name)
        // Not false: that is `-w`, which silences every other word about warnings.
        .warnings(true)
        .cargo_metadata(false);
    build.get_compiler().to_command()
}

/// Compiles one source, strictly, to an object.
pub(crate) fn compile<Flag: AsRef<OsStr>>(
    source: &Path,
    standard: Standard,
    include: &Path,
    flags: impl IntoIterator<Item = Flag>,
    object: &Path,
) -> Result<(), String> {
    let mut command = compiler(standard);
    command.args(STRICT).arg("-I").arg(include).args(flags);
    command.args(["-x", if standard.cpp { "c++" } else { "c" }]);
    command.arg("-c").arg(source).arg("-o").arg(object);
    try_output_of(&mut command).map(drop)
}

/// Links objects and the library to a program.
pub(crate) fn link(
    objects: &[&Path],
    standard: Standard,
    library: &Library,
    linkage: Linkage,
    program: &Path,
) -> Result<(), String> {
    let mut command = compiler(standard);
    command.args(objects).arg("-o").arg(program);
    match linkage {
        Linkage::Shared => {
            let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
            rpath.push(&library.run_time_directory);
            command.arg(&library.shared).arg(rpath);
        }
        Linkage::Static => {
            command.arg(&library.archive);
        }
    }
    // The programs want these: before glibc 2.34, threads and dlsym are not in
    // the C library itself.
    command.args(["-pthread", "-ldl"]);
    try_output_of(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{library, scratch};

    #[test]
    fn a_warning_is_an_error() {
        let directory = scratch("strict");
        // Each test program has this test, and some of them run at the same time.
        let source = directory.join(format!("unused-{}.c", std::process::id()));
        std::fs::write(&source, "int f(void) { int unused; return 0; }\n")
            .expect("the scratch directory can be written");
        for standard in [Standard::c("c11"), Standard::cpp("c++17")] {
            let object = directory.join(format!("{}-{}.o", standard.name, std::process::id()));
            let outcome = compile(&source, standard, &library::include(), [""; 0], &object);
            let message = outcome.expect_err("a variable that is not used is not an error");
            assert!(message.contains("unused"), "another error: {message}");
        }
    }
}
