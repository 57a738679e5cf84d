// SPDX-License-Identifier: MIT OR Apache-2.0
//! cargo-c: `cargo cinstall` of whichever version is here. Debian's knows no
//! registry but the index of old, so the dependencies lie beside a copy of the
//! sources, as a distribution has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::copies::{command, fresh, names, tree};
use crate::package::promised;
use crate::support::library::SONAME;
use crate::support::tools::have_all;
use crate::support::{library, process, scratch, source_root};

/// What `make install` has and `cargo cinstall` does not: it has no folder for
/// the package files of CMake. (Its pkg-config file names the prefix, and its
/// archive has compiler_builtins in it: the same files, with other content.)
const MISSING: [&str; 2] = [
    "lib/cmake/threadlocalmap/threadlocalmapConfig.cmake",
    "lib/cmake/threadlocalmap/threadlocalmapConfigVersion.cmake",
];

/// A copy of what a build needs, with the dependencies beside it.
fn vendored(folder: &Path) -> PathBuf {
    let sources = folder.join("sources");
    fs::create_dir_all(sources.join(".cargo")).expect("the scratch directory is ours");
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", "src", "include", "bindings", "docs"] {
        let mut copy = command("cp");
        process::output_of(copy.arg("-a").arg(source_root().join(name)).arg(&sources));
    }
    // Cargo.toml names some of the tests.
    let tests = source_root().join("tests").read_dir().expect("tests can be read");
    fs::create_dir(sources.join("tests")).expect("the scratch directory is ours");
    for file in tests.map(|entry| entry.expect("it can be read").path()) {
        if file.extension().is_some_and(|extension| extension == "rs") {
            let name = file.file_name().expect("a file");
            fs::copy(&file, sources.join("tests").join(name)).expect("it can be copied");
        }
    }
    // The tests have fetched all of them, so this needs no network.
    let mut vendor = library::cargo_with(["vendor", "--locked", "--offline"]);
    let config = process::output_of(vendor.arg(sources.join("vendor")));
    fs::write(sources.join(".cargo/config.toml"), config).expect("the scratch directory is ours");
    sources
}

#[test]
fn cargo_c_installs_what_make_installs_but_for_cmakes_package_files() {
    if !have_all("cargo cinstall", &[("cargo-cinstall", "cargo-c")]) {
        return;
    }
    let folder = fresh("cargo-c");
    let sources = vendored(&folder);
    let mut cinstall = library::cargo_with(["cinstall", "--locked", "--offline"]);
    cinstall.current_dir(&sources).args(["--prefix", "/usr", "--libdir", "/usr/lib"]);
    cinstall.arg("--destdir").arg(folder.join("staged"));
    cinstall.arg("--target-dir").arg(scratch("install-cargo-c"));
    cinstall.env_remove("CARGO_BUILD_TARGET").env_remove("LD_LIBRARY_PATH");
    process::output_of(&mut cinstall);

    let installed: BTreeSet<String> = names(&folder.join("staged/usr")).into_iter().collect();
    let all: BTreeSet<String> = promised("lib").into_iter().collect();
    let missing: Vec<&String> = all.difference(&installed).collect();
    let more: Vec<&String> = installed.difference(&all).collect();
    assert_eq!(missing, MISSING, "what make install has and cargo cinstall has not");
    assert_eq!(more, Vec::<&String>::new(), "what only cargo cinstall has");

    // Its shared library has the same name for programs.
    let staged = tree(&folder.join("staged/usr"));
    let link = &staged[&format!("lib/{SONAME}")].1;
    assert_eq!(link, concat!("libthreadlocalmap.so.", env!("CARGO_PKG_VERSION")).as_bytes());
    let mut readelf = command("readelf");
    readelf.arg("--dynamic").arg(folder.join("staged/usr/lib").join(SONAME));
    let dynamic = process::output_of(&mut readelf);
    assert!(dynamic.contains(&format!("[{SONAME}]")), "{dynamic}");
}
