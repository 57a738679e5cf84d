// SPDX-License-Identifier: MIT OR Apache-2.0
//! `make install` and `make uninstall`: what they do to a folder that has other
//! files, how programs find the library afterwards, and who may build.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

use crate::copies::{command, compiler, fresh, hello, make, names, run_hello, target_directory};
use crate::support::library::{cargo_with, SONAME};
use crate::support::tools::skipped;
use crate::support::{process, source_root};

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file")).expect("the scratch directory is ours");
    fs::write(path, text).expect("the scratch directory is ours");
}

fn install(prefix: &Path) -> String {
    process::output_of(make(&["install"]).arg(format!("PREFIX={}", prefix.display())))
}

// ---- Other files ------------------------------------------------------------------

/// Files of others, in the folders that we share and in our own.
const OF_OTHERS: [&str; 6] = [
    "include/other.h",
    "include/threadlocalmap/mine.txt",
    "lib/cmake/threadlocalmap/mine.txt",
    "lib/libother.so.0.1.0",
    "lib/libthreadlocalmap_more.so.0.1.0",
    "lib/pkgconfig/other.pc",
];

#[test]
fn uninstall_removes_what_install_put_there_and_nothing_else() {
    let prefix = fresh("uninstall");
    for name in OF_OTHERS {
        write(&prefix.join(name), "of others\n");
    }
    install(&prefix);
    assert!(names(&prefix).len() > OF_OTHERS.len() + 10, "nothing is installed");
    process::output_of(make(&["uninstall"]).arg(format!("PREFIX={}", prefix.display())));
    assert_eq!(names(&prefix), OF_OTHERS);
}

#[test]
fn uninstall_leaves_neither_files_nor_folders_of_ours() {
    let root = fresh("uninstall-staged");
    let destination = format!("DESTDIR={}", root.display());
    let folders = ["PREFIX=/usr", "LIBDIR=/usr/lib/machine", "INCLUDEDIR=/usr/include/tls"];
    process::output_of(make(&["install", &destination]).args(folders));
    assert!(root.join("usr/lib/machine/pkgconfig/threadlocalmap.pc").exists());
    process::output_of(make(&["uninstall", &destination]).args(folders));
    assert_eq!(names(&root), [""; 0]);
    for ours in ["lib/machine/cmake/threadlocalmap", "include/tls/threadlocalmap"] {
        assert!(!root.join("usr").join(ours).exists(), "{ours} is left");
    }
}

/// A wrong PREFIX must not look like a success.
#[test]
fn uninstall_says_that_nothing_was_installed() {
    let prefix = fresh("uninstall-nothing");
    let uninstall =
        || process::output_of(make(&["uninstall"]).arg(format!("PREFIX={}", prefix.display())));
    write(&prefix.join(OF_OTHERS[0]), "of others\n");
    let output = uninstall();
    assert!(output.contains("threadlocalmap is not installed"), "{output}");
    assert!(!output.contains("removed threadlocalmap"), "{output}");
    assert_eq!(names(&prefix), OF_OTHERS[..1]);

    // A part is enough, even a link to a library that has gone.
    fs::create_dir_all(prefix.join("lib")).expect("the scratch directory is ours");
    symlink("libthreadlocalmap.so.0.0.9", prefix.join("lib").join(SONAME))
        .expect("the scratch directory is ours");
    let output = uninstall();
    assert!(output.contains("removed threadlocalmap from"), "{output}");
    assert_eq!(names(&prefix), OF_OTHERS[..1]);
}

/// ldconfig would have the SONAME's link point to the highest number, so a
/// library of another version must go; one of another SONAME stays.
#[test]
fn an_install_takes_the_place_of_another_version() {
    for other in ["libthreadlocalmap.so.0.0.9", "libthreadlocalmap.so.0.99.0"] {
        // A pattern of the shell's, if it were taken for one.
        let prefix = fresh("another-version").join("p[x]");
        let lib = prefix.join("lib");
        write(&lib.join(other), "another version\n");
        let of_a_debugger = lib.join("libthreadlocalmap.so.0.1.0-gdb.py");
        write(&of_a_debugger, "# other people's\n");
        write(&lib.join("libthreadlocalmap.so.1.0.0"), "another SONAME\n");
        symlink(other, lib.join(SONAME)).expect("the scratch directory is ours");
        let output = install(&prefix);
        assert!(output.contains(&format!("removed {other}")), "{output}");
        assert!(!lib.join(other).exists(), "{other} is still there");
        assert!(lib.join("libthreadlocalmap.so.1.0.0").exists(), "another SONAME's is gone");
        assert!(of_a_debugger.exists(), "a debugger's file is gone: {output}");
        let target = fs::read_link(lib.join(SONAME)).expect("the SONAME's link");
        let file = concat!("libthreadlocalmap.so.", env!("CARGO_PKG_VERSION"));
        assert_eq!(target, Path::new(file));
    }
}

/// A program that runs has the old file mapped: writing into that would crash it.
#[test]
fn an_install_over_the_same_version_leaves_the_old_file_to_who_has_it_open() {
    let prefix = fresh("same-version");
    let file = prefix.join(concat!("lib/libthreadlocalmap.so.", env!("CARGO_PKG_VERSION")));
    write(&file, "as it was\n");
    let mut open = File::open(&file).expect("it is there");
    install(&prefix);
    let mut old = String::new();
    open.read_to_string(&mut old).expect("it can be read");
    assert_eq!(old, "as it was\n");
    assert!(fs::read(&file).expect("it is there").starts_with(b"\x7fELF"));
}

// ---- The dynamic linker -----------------------------------------------------------

/// An ldconfig that searches this folder, and that fails as it does for a user
/// who is not root.
fn ldconfig_of_a_user(folder: &Path, searched: &Path) -> String {
    let file = folder.join("ldconfig");
    let list = format!("printf '%s\\n' '{}: (from /etc/ld.so.conf:1)'", searched.display());
    write(&file, &format!("#!/bin/sh\ncase \"$*\" in *-v*) {list} ;; *) exit 1 ;; esac\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    format!("{}", file.display())
}

#[test]
fn install_says_how_programs_find_the_library() {
    let folder = fresh("messages");
    let prefix = folder.join("prefix");
    let lib = prefix.join("lib");
    let elsewhere = ldconfig_of_a_user(&folder.join("elsewhere"), Path::new("/usr/lib"));
    let here = ldconfig_of_a_user(&folder.join("here"), &lib);
    let install = |ldconfig: &str, more: &[&str]| {
        let mut install = make(&["install"]);
        install.args(more).env("LDCONFIG", ldconfig).arg(format!("PREFIX={}", prefix.display()));
        process::output_of(&mut install)
    };

    let output = install(&elsewhere, &[]);
    assert!(output.contains(&format!("-Wl,-rpath,'{}'", lib.display())), "{output}");
    assert!(output.contains(&format!("LD_LIBRARY_PATH='{}'", lib.display())), "{output}");
    let output = install(&here, &[]);
    assert!(output.contains("after: sudo ldconfig"), "{output}");
    // A package's own scripts do it then.
    let output = install(&here, &[&format!("DESTDIR={}", folder.join("staged").display())]);
    assert!(!output.contains("ldconfig") && !output.contains("rpath"), "{output}");
}

/// In a world of its own, where /usr/local and the linker's cache are empty ones:
/// `make install`, then a program that is linked by `-lthreadlocalmap` runs.
#[test]
fn a_program_runs_right_after_make_install_into_usr_local() {
    let mut world = command("unshare");
    world.args(["--user", "--map-root-user", "--mount"]);
    if process::try_output_of(world.arg("true")).is_err() {
        skipped("a first run after make install PREFIX=/usr/local (no right to unshare)");
        return;
    }
    let folder = fresh("usr-local");
    for part in ["lib", "include", "share", "etc"] {
        fs::create_dir(folder.join(part)).expect("the scratch directory is ours");
    }
    let script = r#"
        set -eu
        cd "$SOURCES"
        for file in ld.so.conf ld.so.conf.d passwd group alternatives; do
          [ ! -e "/etc/$file" ] || cp -R "/etc/$file" "$FOLDER/etc/"
        done
        mount --bind "$FOLDER/etc" /etc
        for part in lib include share; do mount --bind "$FOLDER/$part" "/usr/local/$part"; done
        make --no-print-directory install PREFIX=/usr/local
        "${CC:-cc}" examples/hello.c -lthreadlocalmap -o "$FOLDER/hello"
        "$FOLDER/hello"
        make --no-print-directory uninstall PREFIX=/usr/local >"$FOLDER/uninstalled"
    "#;
    let mut world = command("unshare");
    world.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    world.env("SOURCES", source_root()).env("FOLDER", &folder);
    let output = process::output_of(&mut world);
    assert!(output.contains("ran ldconfig: programs find the shared library"), "{output}");
    assert!(output.ends_with("worker: the key now gives NULL\n"), "{output}");
    let output = fs::read_to_string(folder.join("uninstalled")).expect("it was uninstalled");
    assert!(output.contains("ran ldconfig"), "{output}");
    assert!(!output.contains("programs find"), "the library is no longer there: {output}");
}

// ---- Who builds, and where --------------------------------------------------------

#[test]
fn a_program_that_is_linked_with_cargos_own_folder_starts() {
    let release = target_directory().join("release");
    // Not the link of an earlier build.
    let _ = fs::remove_file(release.join(SONAME));
    process::output_of(&mut make(&["all"]));
    starts_with(&release, &fresh("release-folder").join("hello"));
}

/// Cargo gives the library one name, and a program must look for that one.
#[test]
fn a_program_that_is_linked_with_what_plain_cargo_builds_starts() {
    let folder = fresh("plain-cargo");
    let mut cargo = cargo_with(["build", "--locked", "--release", "--lib", "--target-dir"]);
    process::output_of(cargo.arg(&folder));
    starts_with(&folder.join("release"), &folder.join("hello"));
}

/// Links a program with the library in a folder, and runs it there.
fn starts_with(library: &Path, program: &Path) {
    let mut cc = compiler(false);
    cc.arg(hello("c")).arg("-I").arg(source_root().join("include")).arg("-L").arg(library);
    cc.arg("-lthreadlocalmap").arg("-o").arg(program);
    process::output_of(&mut cc);
    run_hello(program, Some(library));
}

/// `make && sudo make install`, where root has no cargo.
#[test]
fn without_cargo_install_takes_what_is_built_if_no_source_is_newer() {
    process::output_of(&mut make(&["all"]));
    let folder = fresh("no-cargo");
    let (target, prefix) = (folder.join("target"), folder.join("prefix"));
    fs::create_dir_all(target.join("dist")).expect("the scratch directory is ours");
    let install = |target: &str| {
        let mut install = make(&["install", "CARGO=/nowhere/cargo"]);
        install.arg(format!("PREFIX={}", prefix.display()));
        install.env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_BUILD_TARGET", target);
        process::try_output_of(&mut install)
    };

    let message = install("").expect_err("there is nothing to install");
    assert!(message.contains("nothing is built: run make all first"), "{message}");

    let file = concat!("libthreadlocalmap.so.", env!("CARGO_PKG_VERSION"));
    for name in [file, "libthreadlocalmap.a", "target"] {
        let from = target_directory().join("dist").join(name);
        fs::copy(from, target.join("dist").join(name)).expect("make all has made it");
    }
    let message = install("other-unknown-linux-gnu").expect_err("it is built for this machine");
    assert!(
        message.contains("is built for this machine, not for other-unknown-linux-gnu"),
        "{message}"
    );
    assert!(!prefix.exists(), "something is installed");
    install("").unwrap_or_else(|message| panic!("{message}"));
    assert!(prefix.join("lib").join(file).exists());

    let mut old = command("touch");
    process::output_of(old.args(["-d", "2001-01-01"]).arg(target.join("dist").join(file)));
    let message = install("").expect_err("what is built is older than the sources");
    assert!(message.contains("is newer than what is built"), "{message}");
}
