// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples: no warning, and they do what they say.
//!
//! What the documents show, `examples/hello.c` among it, is run by `tests/documents.rs`,
//! the program of the demo by `make demo`. Those of `examples/pools` are run by
//! `tests/pools.rs`, and the report of `leak_report.c` as a whole by `tests/dump.rs`.
//!
//! `ci/examples.sh` runs this program: it leaves out the libraries that are not here.

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::compiler::{compile, link, Linkage, Standard};
use support::library::library;
use support::process::{output_of, run};
use support::{scratch, source_root};

const C11: Standard = Standard::c("c11");
const CPP17: Standard = Standard::cpp("c++17");
const PATIENCE: Duration = Duration::from_secs(120);
/// Beside what `compile` asks for: programs that users copy should suit them all.
const STRICTER: &[&str] = &["-Wshadow", "-Wconversion"];

/// The sources of a folder, by their extension.
fn sources(folder: &str, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(source_root().join(folder)).expect("the folder is there");
    let paths = files.map(|file| file.expect("the folder can be read").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// Compiles, strictly; the object.
fn compiled(source: &Path, standard: Standard) -> PathBuf {
    let place = source.strip_prefix(source_root()).expect("an example").with_extension("o");
    let object = scratch("examples").join(place.display().to_string().replace('/', "-"));
    let bindings = format!("-I{}", source_root().join("bindings/cpp/include").display());
    let flags = STRICTER.iter().copied().chain([bindings.as_str()]);
    compile(source, standard, &library().include, flags, &object)
        .unwrap_or_else(|message| panic!("{message}"));
    object
}

#[test]
fn examples_cause_no_warning() {
    let mut count = 0;
    for folder in ["examples", "examples/pool", "examples/things"] {
        for source in sources(folder, "c") {
            compiled(&source, C11);
            count += 1;
        }
    }
    for source in sources("examples", "cpp") {
        compiled(&source, CPP17);
        count += 1;
    }
    assert!(count > 8, "only {count} examples");
}

/// Whether a line of `text` has all of `parts`, in this order; `^` begins the line
/// and `$` ends it.
fn has_line(text: &str, parts: &[&str]) -> bool {
    text.lines().any(|line| {
        let line = format!("^{line}$");
        let mut rest = line.as_str();
        parts.iter().all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

/// Links `examples/NAME.c`, runs it, and looks for lines of what it prints.
fn prints(name: &str, lines: &[&[&str]]) {
    let object = compiled(&source_root().join("examples").join(name).with_extension("c"), C11);
    let program = scratch("examples").join(name);
    let log = program.with_extension("log");
    let mut command = Command::new(&program);
    command.env_remove("LD_LIBRARY_PATH");
    link(&[&object], C11, library(), Linkage::Static, &program)
        .and_then(|()| run(&mut command, &log, PATIENCE))
        .unwrap_or_else(|message| panic!("{message}"));
    let text = fs::read_to_string(log).expect("the log is there");
    for line in lines {
        assert!(has_line(&text, line), "{name}.c does not print {line:?}, but:\n{text}");
    }
}

#[test]
fn counters_add_up() {
    prints(
        "counters",
        &[
            &["^while they count: "],
            &["^when they have ended: 0 living counters, 4000000 requests in the total$"],
        ],
    );
}

#[test]
fn idle_workers_are_woken_and_free() {
    prints(
        "idle_workers",
        &[
            &["^the worker on a condition variable frees its buffer: the document has died$"],
            &["^the worker on an eventfd frees its buffer: the document has died$"],
            &["^the document has died, and 0 buffers are left$"],
        ],
    );
}

#[test]
fn fibers_keep_their_values() {
    prints(
        "fibers",
        &[
            &["^a key has died: 6 values are stale, "],
            &["^fiber 5: 8 steps, ", " expunged 1$"],
            &["^values made 12, destroyed 12, found in the wrong place 0; left: 0 values, 0 maps$"],
        ],
    );
}

#[test]
fn a_leak_report_names_a_key() {
    prints("leak_report", &[&["\"name\":\"session 2\",\"live\":true"]]);
}

/// `make demo-NAME`: nothing leaks, and each thread destroys its own. The program
/// says so by its status.
fn demo(name: &str) {
    for source in sources(&format!("examples/{name}"), "c") {
        compiled(&source, C11);
    }
    let mut command = Command::new(env::var("MAKE").unwrap_or_else(|_| "make".to_owned()));
    command.current_dir(source_root()).args(["--no-print-directory", &format!("demo-{name}")]);
    // Not in the folder that the demo of the pool uses, but beside the library as that is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    command.arg(format!("DEMO={}", target.join(format!("demo-{name}")).display()));
    // Those of the make that runs this test are not for this one.
    command.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("LD_LIBRARY_PATH");
    let text = output_of(&mut command);
    assert!(text.lines().count() > 3, "make demo-{name} prints:\n{text}");
}

#[test]
fn sqlite() {
    demo("sqlite");
}

#[test]
fn zstd() {
    demo("zstd");
}

#[test]
fn openssl() {
    demo("openssl");
}

#[test]
fn lines_are_found_by_their_parts() {
    assert!(has_line("a\nthe one b\n", &["^the ", " b$"]));
    assert!(!has_line("a\nthe one b!\n", &["^the ", " b$"]));
    assert!(!has_line("a the\none b\n", &["^the ", "b$"]));
    assert!(!has_line("the b one\n", &["one", "b"]));
}
