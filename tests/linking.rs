// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library needs of a system, what it shows of itself, and how C
//! programs link it.
//!
//! The shared library needs the C library (what it exports: `tests/abi.rs`). The
//! archive is linked as any archive in C is: `cc program.c libthreadlocalmap.a`.

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::compiler::{compiler, Standard};
use support::library::{built, cargo_with, library, HOST, SONAME, TARGET};
use support::symbols::{dynamic_symbols, tool};
use support::{process, scratch, source_root, INITIAL_EXEC};

const C17: Standard = Standard::c("c17");
/// Far longer than any program takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most bytes of the shared library without its symbol names.
const MOST_BYTES: u64 = 150 * 1024;
/// Most functions and variables of others that it names.
const MOST_UNDEFINED: usize = 30;

// ---- The shared library -------------------------------------------------------

fn dynamic_section() -> String {
    let mut command = tool("READELF", "readelf");
    command.args(["--dynamic", "--wide"]).arg(&library().shared);
    process::output_of(&mut command)
}

#[test]
fn the_shared_library_has_a_soname_and_is_never_unloaded() {
    let dynamic = dynamic_section();
    let line = |tag: &str| {
        let line = dynamic.lines().find(|line| line.contains(tag));
        line.unwrap_or_else(|| panic!("no {tag} in the dynamic section:\n{dynamic}"))
    };
    let soname = format!("[{SONAME}]");
    assert!(line("(SONAME)").contains(&soname), "{}", line("(SONAME)"));
    assert!(line("(FLAGS_1)").contains("NODELETE"), "{}", line("(FLAGS_1)"));
    if INITIAL_EXEC {
        assert!(line("(FLAGS)").contains("STATIC_TLS"), "{}", line("(FLAGS)"));
    }
}

/// And the dynamic linker, where that has the function which finds the
/// general-dynamic storage.
#[test]
fn the_shared_library_needs_the_c_library_alone() {
    let dynamic = dynamic_section();
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0))
        .filter(|name| INITIAL_EXEC || !name.starts_with("ld-"))
        .collect();
    assert_eq!(needed.len(), 1, "{needed:?}");
    assert!(needed[0].starts_with("libc."), "{needed:?}");
}

#[test]
fn the_shared_library_names_few_symbols_and_all_are_the_c_librarys() {
    let undefined = dynamic_symbols(&library().shared, "--undefined-only");
    let names: Vec<&str> = undefined.iter().map(|symbol| symbol.name.as_str()).collect();
    assert!(names.contains(&"pthread_key_create"), "not what it names: {names:?}");
    assert!(names.len() <= MOST_UNDEFINED, "{} symbols: {names:?}", names.len());
    // A call for each access to thread-local storage would cost more than the
    // access itself.
    assert_eq!(names.contains(&"__tls_get_addr"), !INITIAL_EXEC && cfg!(target_arch = "x86_64"));
    if cfg!(target_env = "gnu") {
        for symbol in &undefined {
            // The weak ones are those of gcc's start files.
            let of_libc = symbol.weak || symbol.version.starts_with("GLIBC_");
            assert!(of_libc, "{}@{} is not of the C library", symbol.name, symbol.version);
        }
    }
}

#[test]
fn the_shared_library_is_small() {
    let stripped = scratch("linking").join("stripped.so");
    let mut command = tool("STRIP", "strip");
    command.arg("-o").arg(&stripped).arg(&library().shared);
    process::output_of(&mut command);
    let bytes = fs::metadata(&stripped).expect("strip has written it").len();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

// ---- The archive ----------------------------------------------------------------

/// Links `tests/linking/<source>.c` with archives and these flags, and with
/// nothing else; runs the program.
fn link_and_run(source: &str, name: &str, archives: &[&Path], flags: &[&str]) {
    let file = source_root().join("tests/linking").join(source).with_extension("c");
    let program = scratch("linking").join(name);
    let mut command = compiler(C17);
    command.arg("-I").arg(&library().include).arg(&file).args(archives);
    command.args(flags).arg("-o").arg(&program);
    process::output_of(&mut command);
    if TARGET != HOST {
        // Needs an emulator; tests/c.rs has a runner for that.
        return;
    }
    let log = program.with_extension("log");
    process::run(&mut Command::new(&program), &log, PATIENCE)
        .unwrap_or_else(|message| panic!("{message}"));
}

/// As `cc program.c libthreadlocalmap.a`: no library, no flag. (Before its
/// version 2.34, glibc had threads in a library of their own.)
#[test]
fn a_program_links_the_archive_without_a_flag() {
    link_and_run("alone", "alone", &[&library().archive], &[]);
}

#[test]
fn a_program_links_the_archive_statically() {
    link_and_run("alone", "alone-static", &[&library().archive], &["-static"]);
}

#[test]
fn a_program_links_the_archive_statically_and_position_independent() {
    let flags = ["-static-pie", "-fPIE"];
    link_and_run("alone", "alone-static-pie", &[&library().archive], &flags);
}

/// Cargo without the options of `make`: less is left out, nothing is missing.
/// (Not for programs with a second Rust archive: the panic handler is a symbol
/// that both have, and only link-time optimisation makes it a local one.)
#[test]
fn a_program_links_the_archives_that_plain_cargo_makes() {
    for (name, options) in [("alone-debug", &[][..]), ("alone-cargo", &["--release"])] {
        let mut command = cargo_with(["build", "--lib", "--target", TARGET]);
        command.args(options).arg("--target-dir").arg(scratch("plain-cargo"));
        let archive = built(command, "a");
        link_and_run("alone", name, &[&archive], &[]);
        link_and_run("alone", &format!("{name}-static"), &[&archive], &["-static"]);
    }
}

/// Whichever of the two comes first on the linker's command line.
#[test]
fn two_archives_of_rusts_make_one_program() {
    let other = other_archive();
    let own = &library().archive;
    link_and_run("two_rusts", "two_rusts_other_first", &[&other, own], &LIBRARIES_OF_STD);
    link_and_run("two_rusts", "two_rusts_own_first", &[own, &other], &LIBRARIES_OF_STD);
}

/// What the other archive needs: Rust's standard library is in it.
const LIBRARIES_OF_STD: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

fn other_archive() -> PathBuf {
    let archive = scratch("linking").join("libother_rust.a");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition", "2021", "-O", "--crate-type", "staticlib", "--target", TARGET]);
    command.arg(source_root().join("tests/linking/other_rust.rs")).arg("-o").arg(&archive);
    process::output_of(&mut command);
    archive
}
