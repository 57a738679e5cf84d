// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library under test: shared, static, and the header.
//!
//! Cargo is asked to build it as `make` does and where it has put the archive;
//! the shared library is linked from that (scripts/link-shared.sh). `THREADLOCALMAP_LIB_DIR` names a directory with an installed copy
//! to test instead, `THREADLOCALMAP_INCLUDE_DIR` one with its header.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::compiler::{compiler, Standard};
use super::{process, scratch, source_root};

/// What a program loads at run time.
pub(crate) const SONAME: &str = "libthreadlocalmap.so.0";

/// The triple that the library is built for.
pub(crate) const TARGET: &str = env!("THREADLOCALMAP_TARGET");
/// The triple that the compilers run on.
pub(crate) const HOST: &str = env!("THREADLOCALMAP_HOST");

/// The library under test.
pub(crate) struct Library {
    /// The shared library itself.
    pub(crate) shared: PathBuf,
    /// The static library.
    pub(crate) archive: PathBuf,
    /// A directory that has the shared library under its SONAME.
    pub(crate) run_time_directory: PathBuf,
    /// The directory of `threadlocalmap.h`.
    pub(crate) include: PathBuf,
}

/// The library under test; found or built once per test process.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let (shared, archive) = match env::var_os("THREADLOCALMAP_LIB_DIR") {
            Some(directory) => installed(Path::new(&directory)),
            // `make` and the other tests use what is in cargo's own directory meanwhile.
            None if cfg!(feature = "global-dynamic") => return plain_library(),
            None => linked(cargo()),
        };
        let run_time_directory = scratch("lib");
        link_as_soname(&shared, &run_time_directory);
        Library { shared, archive, run_time_directory, include: include() }
    })
}

/// The directory of the header; needs no library.
pub(crate) fn include() -> PathBuf {
    env::var_os("THREADLOCALMAP_INCLUDE_DIR")
        .map_or_else(|| source_root().join("include"), PathBuf::from)
}

/// The library on plain thread-local storage.
pub(crate) fn plain_library() -> Library {
    library_in(&scratch("plain-target"), &["--features", "global-dynamic"])
}

/// A library that cargo builds with more options, below a directory of its own:
/// two builds of one target directory would overwrite each other.
fn library_in(target: &Path, options: &[&str]) -> Library {
    let mut command = cargo();
    command.args(options).arg("--target-dir").arg(target);
    let (shared, archive) = linked(command);
    let run_time_directory = target.join("lib");
    fs::create_dir_all(&run_time_directory).expect("the build directory can be written");
    link_as_soname(&shared, &run_time_directory);
    Library { shared, archive, run_time_directory, include: include() }
}

fn installed(directory: &Path) -> (PathBuf, PathBuf) {
    let found = |name: &str| {
        let path = directory.join(name);
        let path = path.canonicalize();
        path.unwrap_or_else(|error| {
            panic!("no {name} in THREADLOCALMAP_LIB_DIR={}: {error}", directory.display())
        })
    };
    (found(SONAME), found("libthreadlocalmap.a"))
}

/// Cargo's options that choose the same build as this test's.
fn build_options() -> Vec<&'static str> {
    let mut options = vec!["--release"];
    if TARGET != HOST {
        // Naming the host as a target would build everything a second time.
        options.extend(["--target", TARGET]);
    }
    options
}

/// The cargo that runs this test, in the source tree, to build the library.
fn cargo() -> Command {
    let mut command = cargo_with(["rustc", "--lib", "--crate-type", "staticlib"]);
    command.args(build_options());
    command
}

/// The cargo that runs this test, in the source tree.
pub(crate) fn cargo_with<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from(env!("CARGO")));
    let mut command = Command::new(cargo);
    command.current_dir(source_root()).args(arguments);
    command
}

/// Runs a cargo that builds the static library, and links the shared one; both.
fn linked(command: Command) -> (PathBuf, PathBuf) {
    let archive = built(command, "a");
    let folder = archive.parent().expect("cargo names files in folders");
    let mut link = Command::new(source_root().join("scripts/link-shared.sh"));
    let compiler = compiler(Standard::c("c17"));
    link.env("CC", compiler.get_program()).arg(&archive).arg(folder);
    process::output_of(&mut link);
    let shared = folder.join(SONAME).canonicalize();
    (shared.expect("the script has linked it"), archive)
}

/// Runs a cargo that builds the library; the file with this extension.
pub(crate) fn built(mut command: Command, extension: &str) -> PathBuf {
    // The file names are cargo's to choose and have changed before, so they
    // are asked for. The lock of the build directory is free while tests run.
    command.arg("--message-format=json-render-diagnostics");
    let messages = process::output_of(&mut command);
    let files: Vec<PathBuf> = messages
        .lines()
        .map(|line| serde_json::from_str(line).expect("cargo prints one JSON value a line"))
        .filter(|message: &serde_json::Value| {
            message["reason"] == "compiler-artifact"
                && message["target"]["name"] == env!("CARGO_PKG_NAME")
        })
        .flat_map(|message| {
            let names = message["filenames"].as_array().cloned().unwrap_or_default();
            names.into_iter().filter_map(|name| name.as_str().map(PathBuf::from))
        })
        .collect();
    let file = files.iter().find(|file| file.extension().is_some_and(|e| e == extension));
    file.unwrap_or_else(|| panic!("cargo has built no .{extension} file: {files:?}")).clone()
}

/// A program asks for the SONAME, and cargo's file has another name. Programs that
/// another test process runs may look for it at any time, so it is never gone.
pub(crate) fn link_as_soname(shared: &Path, directory: &Path) {
    let link = directory.join(SONAME);
    if fs::read_link(&link).is_ok_and(|target| target == shared) {
        return;
    }
    let new = directory.join(format!("{SONAME}.{}", std::process::id()));
    symlink(shared, &new)
        .and_then(|()| fs::rename(&new, &link))
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", link.display()));
}
