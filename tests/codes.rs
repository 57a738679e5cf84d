// SPDX-License-Identifier: MIT OR Apache-2.0
//! The codes that functions return are those that the header's texts name.
//!
//! Every program of the C suite is compiled once more, with `tests/c/support/codes.h`
//! in front and a macro around each function that returns a code, and run. What
//! the functions are seen to return is compared with the `@return` and the
//! `@retval` of their texts. That the programs pass is for `tests/c.rs` to say.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::compiler::{compile, link, Linkage, Standard};
use support::declarations::declarations;
use support::library::{self, library};
use support::{process, scratch, source_root, suite};

const C17: Standard = Standard::c("c17");
/// A program that hangs is for `tests/c.rs` to report.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stands for the numbers that are no code: what a callback has returned.
const OF_A_CALLBACK: &str = "a number of a callback's";

/// Names of codes for each function.
type Codes = BTreeMap<String, BTreeSet<String>>;

fn header() -> String {
    fs::read_to_string(source_root().join("include/threadlocalmap.h")).expect("the header is there")
}

/// The words of a text that are made of letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What a comment says at `@return`, and at each `@retval` after it.
fn returns(comment: &str) -> &str {
    let after = comment.split_once("@return ").map_or("", |(_, after)| after);
    after.split_once("@since").map_or(after, |(before, _)| before)
}

/// The codes that each function's text names, of those that return one.
fn documented(header: &str) -> Codes {
    let mut codes = Codes::new();
    for function in declarations(header) {
        let text = returns(&function.comment);
        if !text.contains("an error code:") {
            continue;
        }
        let sentence = text.split("@retval").next().unwrap_or_default();
        let tags = text.split("@retval ").skip(1).filter_map(|tag| words(tag).next());
        let named = words(sentence).filter(|word| word.starts_with("TLS_")).chain(tags);
        let mut named: BTreeSet<String> = named.map(str::to_owned).collect();
        // "visit has stopped", "visit has returned last".
        if sentence.contains("The number that ") || sentence.contains("the number with which ") {
            named.insert(OF_A_CALLBACK.to_owned());
        }
        codes.insert(function.name, named);
    }
    codes
}

/// The names of the codes, by number.
fn names(header: &str) -> BTreeMap<i32, String> {
    let defined = header.lines().filter_map(|line| {
        let (name, number) = line.strip_prefix("#define ")?.split_once(' ')?;
        let is_code = name == "TLS_OK" || name.starts_with("TLS_ERR_");
        let number = number.trim_matches(|c| c == '(' || c == ')').parse().ok()?;
        is_code.then(|| (number, name.to_owned()))
    });
    defined.collect()
}

/// The header that stands in front of each program.
fn write_macros(functions: &Codes, directory: &Path) -> PathBuf {
    let codes = suite::include().join("codes.h");
    let mut text = format!("#include \"{}\"\n", codes.display());
    for name in functions.keys() {
        writeln!(text, "#define {name}(...) codes_note(\"{name}\", ({name})(__VA_ARGS__))")
            .expect("a string has room");
    }
    let path = directory.join("macros.h");
    fs::write(&path, text).expect("the build directory can be written");
    path
}

fn programs() -> Vec<PathBuf> {
    suite::programs("c").into_values().collect()
}

/// Has one program note what it sees. With fewer repetitions, as under a runner:
/// how often a function is called says nothing of its codes.
fn observe(source: &Path, macros: &Path, directory: &Path, log: &Path) {
    let name = source.file_stem().expect("it has a name");
    let (object, program) = (directory.join(name).with_extension("o"), directory.join(name));
    let shared = suite::include();
    let flags = ["-D_GNU_SOURCE", "-include", macros.to_str().expect("a path is text"), "-I"];
    // What a function returns is the library's: the program itself need not be quick.
    let flags = ["-O0", "-g0"].into_iter().chain(flags);
    let flags = flags.chain(shared.to_str());
    compile(source, C17, &library().include, flags, &object)
        .and_then(|()| link(&[&object], C17, library(), Linkage::Static, &program))
        .unwrap_or_else(|message| panic!("{message}"));
    let mut command = Command::new(&program);
    command.env("THREADLOCALMAP_CODES", log).env("THREADLOCALMAP_TEST_SCALE", "20");
    // Whether it passes is another test's business.
    let _ = process::run(&mut command, &program.with_extension("log"), PATIENCE);
}

/// What the programs saw.
fn observed(macros: &Path, directory: &Path, names: &BTreeMap<i32, String>) -> Codes {
    let log = directory.join("codes");
    let _ = fs::remove_file(&log);
    let (programs, next) = (programs(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(source) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    observe(source, macros, directory, &log);
                }
            });
        }
    });
    let mut codes = Codes::new();
    for line in fs::read_to_string(&log).expect("the programs have written it").lines() {
        let (function, number) = line.split_once(' ').expect("a name and a number");
        let number: i32 = number.parse().expect("a number");
        let name = names.get(&number).cloned().unwrap_or_else(|| OF_A_CALLBACK.to_owned());
        codes.entry(function.to_owned()).or_default().insert(name);
    }
    codes
}

#[test]
fn every_code_that_a_function_returns_is_in_its_text() {
    if library::TARGET != library::HOST {
        return; // it needs an emulator
    }
    let directory = scratch("codes");
    let header = header();
    let documented = documented(&header);
    assert!(documented.len() >= 25, "functions that return codes: {documented:?}");
    let macros = write_macros(&documented, &directory);
    let observed = observed(&macros, &directory, &names(&header));
    let mut missing = String::new();
    for (function, codes) in &observed {
        for code in codes.difference(&documented[function]) {
            writeln!(missing, "{function} returns {code}").expect("a string has room");
        }
    }
    assert!(observed.len() >= 25, "functions that were called: {observed:?}");
    assert!(missing.is_empty(), "the header does not say that\n{missing}");
}

#[test]
fn codes_are_found_in_texts() {
    let text = "/**\n * Does. May return TLS_ERR_INIT.\n *\n * @return TLS_OK, or an error code:\n\
                \x20* @retval TLS_ERR_BUSY Now. TLS_ERR_ABSENT is another's.\n * @since 1\n */\n\
                int tls_a(void);\n/**\n * @return TLS_OK, the number with which visit has\n\
                \x20*   stopped, or an error code:\n * @retval TLS_ERR_LIMIT Of\n * it.\n * @since 1\n */\n\
                int tls_b(void);\n/**\n * @return A number.\n * @since 1\n */\nint tls_c(void);\n";
    let codes = documented(text);
    assert_eq!(codes.len(), 2);
    let of = |name: &str| codes[name].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("tls_a"), ["TLS_ERR_BUSY", "TLS_OK"]);
    assert_eq!(of("tls_b"), ["TLS_ERR_LIMIT", "TLS_OK", OF_A_CALLBACK]);
}
