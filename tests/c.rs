// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C test suite: every program in `tests/c`, compiled and run. They lie in
//! folders by the chapters of the header.
//!
//! Each is compiled as C11, C17 and C++17 without a warning, each of these is
//! linked with the shared and with the static library, and each of those runs
//! as a process of its own. The C11 ones are compiled with `TLS_NO_INLINE` and
//! so use the exported functions only; the C17 ones with `NDEBUG`, as release
//! builds often are.
//!
//! | environment | |
//! |---|---|
//! | `CC`, `CXX`, `CFLAGS`, `CXXFLAGS` | the compilers, as for the `cc` crate |
//! | `THREADLOCALMAP_C_RUNNER` | put in front of each program, such as `valgrind ...`; C17 only then, with fewer repetitions |
//! | `THREADLOCALMAP_C_LINKAGE` | `alternate`: each program is linked with one library only, in turn the shared and the static one, and, without a runner, compiled and run as C11 or C17, in turn; as the other and as C++17 it is looked at for errors and warnings only |
//! | `THREADLOCALMAP_TEST_SCALE` | divides the number of repetitions; 100 with a runner |
//! | `THREADLOCALMAP_DEEP` | if not empty: all variants of a program, where a scale or a runner leave every 11th |
//! | `THREADLOCALMAP_TEST_STRIDE` | another number than 11 |
//! | `THREADLOCALMAP_LIB_DIR` | tests an installed copy and builds none |
//! | `THREADLOCALMAP_INCLUDE_DIR` | the header's directory, if not `include` |

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::compiler::{compile, link, Linkage, Standard};
use support::library::library;
use support::{process, scratch, source_root, suite, INITIAL_EXEC};

/// One way to compile a program.
struct Variant {
    standard: Standard,
    flags: &'static [&'static str],
}

const C11: Variant = Variant { standard: Standard::c("c11"), flags: &["-DTLS_NO_INLINE"] };
const C17: Variant = Variant { standard: Standard::c("c17"), flags: &["-DNDEBUG"] };
const CPP17: Variant = Variant { standard: Standard::cpp("c++17"), flags: &[] };

/// Far longer than any program takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The same, under a runner that may slow everything down a hundredfold.
const PATIENCE_WITH_RUNNER: Duration = Duration::from_secs(1800);

/// The words of `THREADLOCALMAP_C_RUNNER`; none: run the programs directly.
fn runner() -> Vec<String> {
    let words = env::var("THREADLOCALMAP_C_RUNNER").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

/// What runs a program: the program itself, or the runner with it.
fn command_for(program: &Path, runner: &[String]) -> Command {
    let Some((first, rest)) = runner.split_first() else {
        let mut command = Command::new(program);
        set_environment(&mut command);
        return command;
    };
    let mut command = Command::new(first);
    command.args(rest).arg(program);
    set_environment(&mut command);
    if env::var_os("THREADLOCALMAP_TEST_SCALE").is_none() {
        command.env("THREADLOCALMAP_TEST_SCALE", "100");
    }
    // allocation_failure.c brings an allocator that must not be replaced.
    let mut options = env::var("VALGRIND_OPTS").unwrap_or_default();
    options.push_str(" --soname-synonyms=somalloc=nouserintercepts");
    command.env("VALGRIND_OPTS", options);
    command
}

fn set_environment(command: &mut Command) {
    // Cargo puts its build directories there, with a library of another
    // profile; the programs have an rpath.
    command.env_remove("LD_LIBRARY_PATH");
}

/// Compiles `tests/c/*/<name>.c` in every way and runs what comes of it. All
/// that fails is reported together: what works elsewhere is a clue.
fn run_c(name: &str) {
    let runner = runner();
    run_program(name, "c", if runner.is_empty() { &[C11, C17, CPP17] } else { &[C17] });
}

/// The same for `tests/c/*/<name>.cpp`, which is C++ only.
fn run_cpp(name: &str) {
    run_program(name, "cpp", &[CPP17]);
}

/// Where the programs are built: one place for each runner and each kind of library,
/// because such runs may go on beside each other.
fn directory() -> PathBuf {
    let kind = if INITIAL_EXEC { "c" } else { "c-plain" };
    let words: String = (runner().iter().take(2).map(|word| format!("-{word}")))
        .map(|word| word.replace(|character: char| !character.is_ascii_alphanumeric(), "-"))
        .collect();
    scratch(&format!("{kind}{words}"))
}

/// How a program of one of the variants is linked and run: both ways, or, where there is
/// no time for all of them, one of the ways to compile and link it, which the next
/// programs are not. None: it is compiled only.
fn linkages(name: &str, variant: usize, variants: usize) -> Vec<Linkage> {
    match env::var("THREADLOCALMAP_C_LINKAGE").as_deref() {
        Err(_) | Ok("") => Linkage::BOTH.to_vec(),
        Ok("alternate") => {
            let mut all = CPP_PROGRAMS.iter().chain(C_PROGRAMS);
            let place = all.position(|other| *other == name).expect("it is in a list");
            // The last of several is C++17, which does what C17 does.
            let runs = variants.saturating_sub(1).max(1);
            let linkage = Linkage::BOTH[place / runs % 2];
            if variant == place % runs {
                vec![linkage]
            } else {
                vec![]
            }
        }
        Ok(other) => panic!("THREADLOCALMAP_C_LINKAGE={other}: alternate, or nothing"),
    }
}

fn run_program(name: &str, extension: &str, variants: &[Variant]) {
    let source = &suite::programs(extension)[name];
    let shared = format!("-I{}", suite::include().display());
    let directory = directory().join(name);
    fs::create_dir_all(&directory).expect("the build directory can be written");
    let runner = runner();
    let patience = if runner.is_empty() { PATIENCE } else { PATIENCE_WITH_RUNNER };

    let mut failures = Vec::new();
    for (number, Variant { standard, flags }) in variants.iter().enumerate() {
        let object = directory.join(format!("{}.o", standard.name));
        let linkages = linkages(name, number, variants.len());
        let mut flags = [*flags, &[shared.as_str()]].concat();
        if linkages.is_empty() {
            flags.push("-fsyntax-only");
        }
        if let Err(message) = compile(source, *standard, &library().include, flags, &object) {
            failures.push(message);
            continue;
        }
        for linkage in linkages {
            let program = directory.join(format!("{}-{}", standard.name, linkage.name()));
            let log = program.with_extension("log");
            let outcome = link(&[&object], *standard, library(), linkage, &program)
                .and_then(|()| process::run(&mut command_for(&program, &runner), &log, patience));
            failures.extend(outcome.err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// One test for each program, under its name, so that `cargo test NAME` picks
/// it; and the list of them.
macro_rules! programs {
    ($list:ident $run:ident $($name:ident)*) => {
        const $list: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                $run(stringify!($name));
            }
        )*
    };
}

programs! { CPP_PROGRAMS run_cpp
    ended_threads_destructors
    thread_local_destructors
}

programs! { C_PROGRAMS run_c
    abandoned_callbacks
    abandoned_visits
    allocation_failure
    allocator_calls
    arguments
    callbacks
    calling_allocator
    capacity
    churn
    context_callbacks
    context_lives
    cleanup_without_memory
    clock
    contexts
    dump
    dump_dead
    dump_dead_races
    dump_fd
    dump_fd_signals
    dump_memory
    dump_races
    ended_threads
    ends_inside_visits
    ends_twice
    enumerate
    enumerate_many
    enumerate_races
    errors
    exit_races
    exit_rounds
    expunge
    foreign_destructors
    explicit_keys
    fibers
    fork
    fork_handlers
    fork_in_callbacks
    fork_in_tasks
    fork_leftovers
    fork_stress
    forgotten_values
    given_up_while_visited
    handles
    hooks
    hooks_memory
    hooks_races
    idle_workers
    inherited_keys
    init
    late_threads
    local_entries
    many_keys
    moving_map_callbacks
    moving_map_forks
    moving_map_memory
    moving_map_tasks
    moving_maps
    no_os_key
    only_locks
    order_of_ends
    os_footprint
    process_endings
    process_exit
    purged_owners
    races
    rare_codes
    reclaim_any
    reclaim_races
    returned_values
    scope_deaths
    scope_visits
    scope_ends
    scope_costs
    scopes
    signals
    spacing
    table_growth
    stale_values_end
    stats
    thread_exit
    take_all
    take_wait
    task_switches
    tasks
    tasks_without_memory
    threads
    timer_signals
    user_mutexes
    values
    values_at_exit
    visits_end
    visits_locked
    visits_stop
    without_memory
    wrong_numbers
}

#[test]
fn every_program_has_its_test() {
    for (extension, list) in [("c", C_PROGRAMS), ("cpp", CPP_PROGRAMS)] {
        let programs: BTreeSet<String> = suite::programs(extension).into_keys().collect();
        let tests: BTreeSet<String> = list.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(programs, tests, "tests/c/*/*.{extension} on the left, tests/c.rs on the right");
    }
}

/// The folders are called as the headings of the header are, in small letters.
#[test]
fn every_folder_is_a_chapter_of_the_header() {
    let header = source_root().join("include/threadlocalmap.h");
    let header = fs::read_to_string(header).expect("the header is there");
    let headings: BTreeSet<String> = (header.lines().filter_map(|line| line.strip_prefix(" * ")))
        .filter(|line| line.chars().all(|letter| letter.is_ascii_uppercase() || letter == ' '))
        .map(|line| line.to_ascii_lowercase().replace(' ', "-"))
        .collect();
    for chapter in suite::chapters() {
        assert!(headings.contains(&chapter), "tests/c/{chapter} is none of {headings:?}");
    }
}

/// Files of valgrind suppressions under a directory of the source tree.
fn suppressions_under(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the source tree can be read") {
        let path = entry.expect("the source tree can be read").path();
        let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if name != "target" && name != ".git" {
                suppressions_under(&path, found);
            }
        } else if name.ends_with(".supp") || name == ".valgrindrc" {
            found.push(path);
        }
    }
}

/// Valgrind has nothing to say about this library, so nothing is kept quiet.
#[test]
fn no_complaint_is_suppressed() {
    let mut found = Vec::new();
    suppressions_under(source_root(), &mut found);
    assert!(found.is_empty(), "suppressions in the tree: {found:?}");
    let options = env::var("VALGRIND_OPTS").unwrap_or_default();
    for word in runner().iter().map(String::as_str).chain(options.split_whitespace()) {
        assert!(!word.starts_with("--suppressions"), "the runner suppresses: {word}");
    }
}
