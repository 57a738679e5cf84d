// SPDX-License-Identifier: MIT OR Apache-2.0
//! What cannot work: the message says what to do, and nothing is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::copies::{command, fresh, make, names, path_without, plain};
use crate::support::library::HOST;
use crate::support::tools::skipped;
use crate::support::{process, source_root};

/// `make install` with these settings fails; its message has these words.
fn fails(settings: &[&str], words: &str) {
    let mut install = make(&["install"]);
    let outcome = process::try_output_of(install.args(settings));
    let message = outcome.expect_err(&format!("make install {settings:?} works"));
    assert!(message.contains(words), "make install {settings:?}: {message}");
}

#[test]
fn a_prefix_that_is_no_absolute_path_is_an_error() {
    fails(&["PREFIX=usr/local"], "PREFIX=usr/local is a relative path: give an absolute one");
    fails(&["PREFIX="], "PREFIX is empty");
    fails(&["PREFIX=~/tls"], "the shell has not expanded the ~");
    let root = fresh("relative");
    let destination = format!("DESTDIR={}", root.display());
    fails(&[&destination, "PREFIX=/usr", "LIBDIR=lib64"], "LIBDIR=lib64 is a relative path");
    fails(&[&destination, "PREFIX=/usr", "MANDIR=man"], "MANDIR=man is a relative path");
    assert_eq!(names(&root), [""; 0]);
}

#[test]
fn a_path_that_package_files_cannot_hold_is_an_error() {
    let root = fresh("characters");
    let destination = format!("DESTDIR={}", root.display());
    // make itself reads $$ as $.
    for path in ["/a\"b", "/a'b", "/a\\b", "/a$$b", "/a#b", "/a;b", "/a@b", "/a`b"] {
        let prefix = format!("PREFIX={}", path.replace('#', "\\#"));
        fails(
            &[&destination, &prefix],
            "has a character that pkg-config or CMake files cannot hold",
        );
    }
    fails(&[&destination, "PREFIX=/a:b"], "a colon, which PKG_CONFIG_PATH and LD_LIBRARY_PATH");
    assert_eq!(names(&root), [""; 0]);
}

#[test]
fn a_prefix_below_a_file_is_an_error() {
    let folder = fresh("below-a-file");
    fs::write(folder.join("file"), "text").expect("the scratch directory is ours");
    let prefix = format!("PREFIX={}/file/usr", folder.display());
    fails(&[&prefix], "file is not a folder");
}

#[test]
fn a_prefix_that_may_not_be_written_to_is_an_error() {
    let folder = fresh("read-only");
    // Root may write everywhere but to a file system that is mounted read-only.
    let script = r#"
        set -eu
        mount --bind "$FOLDER" "$FOLDER"
        mount -o remount,ro,bind "$FOLDER"
        cd "$SOURCES"
        make --no-print-directory install PREFIX="$FOLDER/usr"
    "#;
    let world = |script: &str| {
        let mut world = command("unshare");
        world.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        world.env("FOLDER", &folder).env("SOURCES", source_root());
        process::try_output_of(&mut world)
    };
    if world("true").is_err() {
        skipped("installing into a folder that is read-only (no right to unshare)");
        return;
    }
    let message = world(script).expect_err("nobody can write there");
    assert!(message.contains("no permission to write to"), "{message}");
    assert!(message.contains("sudo make install"), "{message}");
}

#[test]
fn a_missing_tool_is_named_with_its_package() {
    let prefix = fresh("missing-tools").join("prefix");
    for (tool, words) in [
        ("ar", "no ar (Debian: apt-get install binutils)"),
        ("nm", "no nm (Debian: apt-get install binutils)"),
        ("realpath", "no realpath (Debian: apt-get install coreutils)"),
    ] {
        let mut install = make(&["install"]);
        install.env("PATH", path_without(&format!("path-without-{tool}"), &[tool]));
        let outcome = process::try_output_of(install.arg(format!("PREFIX={}", prefix.display())));
        let message = outcome.expect_err(&format!("it works without {tool}"));
        assert!(message.contains(words), "{message}");
        assert!(!prefix.exists(), "something is installed");
    }
    let mut all = make(&["all"]);
    all.env("PATH", path_without("path-without-cargo", &["cargo"])).env_remove("CARGO");
    let message = process::try_output_of(&mut all).expect_err("there is no cargo");
    assert!(message.contains("https://rustup.rs"), "{message}");
    assert!(message.contains("apt-get install cargo"), "{message}");
}

// ---- The right build, or none ------------------------------------------------------

/// A cargo that says that it has built these files.
fn cargo_that_says(folder: &Path, files: &[&Path]) -> String {
    let lines: Vec<String> = files
        .iter()
        .map(|file| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"threadlocalmap"}},"filenames":["{}"]}}"#,
                file.display()
            )
        })
        .collect();
    let script = folder.join("cargo");
    fs::write(&script, format!("#!/bin/sh\ncat <<'END'\n{}\nEND\n", lines.join("\n")))
        .expect("the scratch directory is ours");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    format!("CARGO={}", script.display())
}

/// As when CARGO_BUILD_TARGET or .cargo/config.toml moves it.
#[test]
fn what_is_installed_is_where_cargo_says_and_not_what_an_older_build_left() {
    let folder = fresh("where-cargo-says");
    let (target, prefix) = (folder.join("target"), folder.join("prefix"));
    let elsewhere = folder.join("elsewhere");
    for place in [&target.join("release"), &elsewhere] {
        fs::create_dir_all(place).expect("the scratch directory is ours");
    }
    // What an older build left where cargo has its files by itself.
    let archive = "libthreadlocalmap.a";
    let file = concat!("libthreadlocalmap.so.", env!("CARGO_PKG_VERSION"));
    for name in [archive, file] {
        let stale = target.join("release").join(name);
        fs::write(stale, "stale").expect("the scratch directory is ours");
    }
    fs::copy(plain().archive(), elsewhere.join(archive)).expect("it is installed");
    let install = |cargo: String| {
        let mut install = make(&["install", &cargo]);
        install.arg(format!("PREFIX={}", prefix.display())).env("CARGO_TARGET_DIR", &target);
        process::try_output_of(&mut install)
    };

    let new = elsewhere.join(archive);
    let two = [&*new, &target.join("release").join(archive)];
    let message = install(cargo_that_says(&folder, &two)).expect_err("there are two builds");
    assert!(message.contains("CARGO_BUILD_TARGET=TRIPLE chooses one"), "{message}");
    let message = install(cargo_that_says(&folder, &[])).expect_err("nothing is built");
    assert!(message.contains("cargo has built no libthreadlocalmap.a"), "{message}");
    let gone = folder.join("gone").join(archive);
    let message = install(cargo_that_says(&folder, &[&gone])).expect_err("it is not there");
    assert!(message.contains("but it does not exist"), "{message}");
    assert!(!prefix.exists(), "something is installed");

    install(cargo_that_says(&folder, &[&new])).unwrap_or_else(|message| panic!("{message}"));
    let installed = |name: &str| fs::read(prefix.join("lib").join(name)).expect("it is installed");
    assert!(installed(file).starts_with(b"\x7fELF"), "the shared library is the stale one");
    assert!(installed(archive).starts_with(b"!<arch>"), "the archive is the stale one");
}

#[test]
fn a_target_that_cannot_be_built_is_an_error_whatever_is_built_already() {
    process::output_of(&mut make(&["all"]));
    let prefix = fresh("no-such-target").join("prefix");
    // Of two, the one that is not the machine's own; neither has a library for it here.
    let target = ["s390x-unknown-linux-gnu", "sparc64-unknown-linux-gnu"];
    let target = target.into_iter().find(|target| *target != HOST).expect("two are given");
    let mut install = make(&["install"]);
    install.arg(format!("PREFIX={}", prefix.display())).env("CARGO_BUILD_TARGET", target);
    let message = process::try_output_of(&mut install).expect_err("Rust has no library for it");
    assert!(message.contains("cargo has not built the library"), "{message}");
    assert!(message.contains(target), "cargo does not name the target: {message}");
    assert!(!prefix.exists(), "something is installed");
}
