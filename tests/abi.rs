// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program that was compiled against an earlier header relies on:
//! `docs/abi.md` promises it.
//!
//! Each function has two symbols, and each symbol has the version that it came
//! with: `src/capi/exports.map` lists them. What has been in a release stays.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::compiler::{compile, compiler, Standard};
use support::declarations::declarations;
use support::library::{built, cargo_with, library, HOST, SONAME, TARGET};
use support::symbols::dynamic_symbols;
use support::{process, scratch, source_root};

const C11: Standard = Standard::c("c11");
const CPP17: Standard = Standard::cpp("c++17");
/// Far longer than any program takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn read(file: &str) -> String {
    fs::read_to_string(source_root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A function's second name.
fn second(name: &str) -> String {
    let rest = name.strip_prefix("tls_").unwrap_or_else(|| panic!("{name} is not tls_..."));
    format!("tlm_{rest}")
}

/// The functions of the header, by both names.
fn declared() -> BTreeSet<String> {
    let header = read("include/threadlocalmap.h");
    declarations(&header)
        .into_iter()
        .flat_map(|function| [second(&function.name), function.name])
        .collect()
}

/// The symbols that the map lists, each with its version.
fn listed() -> BTreeSet<(String, String)> {
    let map = read("src/capi/exports.map");
    let code = map.rsplit_once("*/").expect("the map has a comment").1;
    let mut found = BTreeSet::new();
    let mut version = String::new();
    for line in code.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix(" {") {
            version = name.to_owned();
        } else if line.starts_with('t') {
            for symbol in line.split(';').map(str::trim).filter(|symbol| !symbol.is_empty()) {
                found.insert((symbol.to_owned(), version.clone()));
            }
        }
    }
    found
}

// ---- Symbols ------------------------------------------------------------------

#[test]
fn the_map_lists_the_headers_functions_by_both_names() {
    let listed: BTreeSet<String> = listed().into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, declared(), "src/capi/exports.map on the left, the header on the right");
}

#[test]
fn the_shared_library_exports_what_the_map_lists_with_its_versions() {
    let exported = dynamic_symbols(&library().shared, "--defined-only");
    let exported: BTreeSet<(String, String)> =
        exported.into_iter().map(|symbol| (symbol.name, symbol.version)).collect();
    assert_eq!(exported, listed(), "exported on the left, src/capi/exports.map on the right");
}

/// cargo-c installs the library as rustc links it: with the same symbols, but
/// without versions.
#[test]
fn the_shared_library_that_cargo_links_exports_the_same_names() {
    let mut command = cargo_with(["rustc", "--lib", "--crate-type", "cdylib", "--release"]);
    command.args(["--target", TARGET, "--target-dir"]).arg(scratch("plain-cargo"));
    let shared = built(command, "so");
    let exported: BTreeSet<String> =
        dynamic_symbols(&shared, "--defined-only").into_iter().map(|symbol| symbol.name).collect();
    assert_eq!(exported, declared(), "exported on the left, declared on the right");
}

#[test]
fn the_header_renames_each_function() {
    let symbols = read("include/threadlocalmap_symbols.h");
    let renamed: BTreeSet<&str> =
        symbols.lines().filter_map(|line| line.strip_prefix("#pragma redefine_extname ")).collect();
    let declared = declared().into_iter().filter(|name| name.starts_with("tls_"));
    let expected: Vec<String> = declared.map(|name| format!("{name} {}", second(&name))).collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    assert_eq!(renamed, expected, "threadlocalmap_symbols.h on the left, expected on the right");
}

// ---- Sizes, numbers, and programs of earlier versions -----------------------------

fn source(name: &str) -> PathBuf {
    source_root().join("tests/abi").join(name)
}

fn compiled(name: &str, standard: Standard, flags: &[&str]) -> PathBuf {
    let stem = name.replace('/', "-");
    // Tests run beside each other: each has objects of its own.
    let object = scratch("abi").join(format!("{stem}-{}{}.o", standard.name, flags.concat()));
    compile(&source(name), standard, &library().include, flags, &object)
        .unwrap_or_else(|message| panic!("{message}"));
    object
}

/// Links objects, with these flags and libraries.
fn link(program: &str, files: &[&Path], flags: &[&str]) -> Result<PathBuf, String> {
    let program = scratch("abi").join(program);
    let mut command = compiler(C11);
    command.args(files).args(flags).arg("-o").arg(&program);
    process::try_output_of(&mut command).map(|_| program)
}

/// Runs a program with the shared library; with another one loaded before it.
fn run(program: &Path, preloaded: Option<&Path>) {
    if TARGET != HOST {
        // Needs an emulator; tests/c.rs has a runner for that.
        return;
    }
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", &library().run_time_directory);
    if let Some(preloaded) = preloaded {
        command.env("LD_PRELOAD", preloaded);
    }
    process::run(&mut command, &program.with_extension("log"), PATIENCE)
        .unwrap_or_else(|message| panic!("{message}"));
}

#[test]
fn sizes_and_numbers_are_those_of_0_1_0() {
    for standard in [C11, CPP17] {
        compiled("numbers.c", standard, &[]);
    }
}

#[test]
fn a_program_of_0_1_0_runs_and_also_where_the_hot_slot_is_another() {
    let object = compiled("program_0_1_0.c", C11, &["-D_GNU_SOURCE"]);
    let files = [object.as_path(), &library().shared];
    let program = link("program_0_1_0", &files, &["-pthread"]).expect("it links");
    run(&program, None);

    let other = compiled("another_hot_slot.c", C11, &["-fPIC"]);
    let other = link("another_hot_slot.so", &[&other], &["-shared"]).expect("it links");
    run(&program, Some(&other));
}

// ---- Names --------------------------------------------------------------------

/// In each kind of program, and with nothing to link.
#[test]
fn a_source_that_includes_the_header_and_calls_nothing_links_without_the_library() {
    let directory = scratch("abi");
    let file = directory.join("calls_nothing.c");
    fs::write(&file, "#include <threadlocalmap.h>\nint main(void) { return 0; }\n")
        .expect("the scratch directory can be written");
    for standard in [C11, CPP17] {
        for flags in [&["-O0"][..], &["-O2", "-fPIE", "-pie"], &["-no-pie"], &["-static"]] {
            let object = directory.join("calls_nothing.o");
            compile(&file, standard, &library().include, flags, &object)
                .unwrap_or_else(|message| panic!("{message}"));
            let program = link("calls_nothing", &[&object], flags);
            run(&program.unwrap_or_else(|message| panic!("{message}")), None);
        }
    }
}

/// A program has a `tls_get` of its own, and a library in it uses ours.
#[test]
fn functions_of_a_program_and_of_the_library_that_share_a_name_do_not_mix() {
    let counter = compiled("own_names/counter.c", C11, &["-fPIC", "-O0"]);
    let program = compiled("own_names/program.c", C11, &[]);
    let ours = library().run_time_directory.join(SONAME);
    let shared = link("libcounter.so", &[&counter, &ours], &["-shared"]).expect("it links");
    // As a part of the program's own, too: what it exports comes before all libraries.
    for (name, first) in [("own_names", shared.as_path()), ("own_names_one_program", &counter)] {
        let files = [program.as_path(), first, &ours];
        let linked = link(name, &files, &["-rdynamic", "-Wl,-rpath,$ORIGIN"]);
        run(&linked.unwrap_or_else(|message| panic!("{message}")), None);
    }
}

/// The same, and the library that uses ours has the archive inside.
#[test]
fn functions_do_not_mix_either_where_the_archive_is_inside_a_library() {
    let counter = compiled("own_names/counter.c", C11, &["-fPIC", "-O2"]);
    let program = compiled("own_names/program.c", C11, &["-O2"]);
    let files = [counter.as_path(), &library().archive];
    let flags = ["-shared", "-Wl,-z,nodelete"];
    let shared = link("libcounter_inside.so", &files, &flags).expect("it links");
    let files = [program.as_path(), &shared];
    let linked = link("own_names_inside", &files, &["-rdynamic", "-Wl,-rpath,$ORIGIN"]);
    run(&linked.unwrap_or_else(|message| panic!("{message}")), None);
}

/// Not silently the one or the other.
#[test]
fn the_archive_and_a_program_that_share_a_name_are_an_error_of_the_linker() {
    let counter = compiled("own_names/counter.c", C11, &["-O1"]);
    let program = compiled("own_names/program.c", C11, &["-O1"]);
    let files = [program.as_path(), &counter, &library().archive];
    let message = link("own_names_static", &files, &[]).expect_err("it linked");
    assert!(message.contains("multiple definition of `tls_set'"), "another error: {message}");
}
