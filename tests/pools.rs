// SPDX-License-Identifier: MIT OR Apache-2.0
//! Thread pools that we did not write, as their distributions ship them.
//!
//! For each pool two programs: `tests/pools/NAME.c` (or `.cpp`), which shows
//! what must hold (see `tests/pools/pool_test.h`), and `examples/pools/NAME.c`,
//! which is what a user of that pool would write, and ends with 0 if nothing is
//! left. Both are compiled as users compile, with the shared library, and run.
//!
//! A pool whose headers are missing fails with the name of its package;
//! `make check STEPS=pools` skips those by name.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::compiler::{compile, compiler, link, Linkage, Standard, STRICT};
use support::library::library;
use support::{process, scratch, source_root};

/// A pool, its sources' names, and what it takes to compile with it.
struct Pool {
    name: &'static str,
    standard: Standard,
    /// What `pkg-config` knows it by.
    package: Option<&'static str>,
    /// The Debian package, for who has not got it.
    debian: &'static str,
    flags: &'static [&'static str],
    /// Sources that the example needs beside its own.
    example_sources: &'static [&'static str],
}

const C: Standard = Standard::c("c11");
const CPP: Standard = Standard::cpp("c++17");
const CPP20: Standard = Standard::cpp("c++20");
/// libuv's headers and ours need more than C11 itself: `-std=gnu11` has it too.
const POSIX: &[&str] = &["-D_POSIX_C_SOURCE=200809L"];
const PATIENCE: Duration = Duration::from_secs(180);

const POOL: Pool =
    Pool { name: "", standard: C, package: None, debian: "", flags: &[], example_sources: &[] };

fn extension(standard: Standard) -> &'static str {
    if standard.cpp {
        "cpp"
    } else {
        "c"
    }
}

/// Where the programs of a pool are built.
fn directory(name: &str) -> PathBuf {
    let directory = scratch("pools").join(name);
    fs::create_dir_all(&directory).expect("the build directory can be written");
    directory
}

/// The flags of a pool's library: to compile, and to link.
fn package_flags(pool: &Pool) -> (Vec<String>, Vec<String>) {
    let Some(package) = pool.package else { return (Vec::new(), Vec::new()) };
    let ask = |what: &str| {
        let answer = process::try_output_of(Command::new("pkg-config").args([what, package]));
        let text = answer.unwrap_or_else(|message| {
            panic!("{} is not here (Debian: {}): {message}", pool.name, pool.debian)
        });
        // Its headers are not ours: what they cause in warnings is not our business.
        text.split_whitespace().map(|flag| flag.replace("-I", "-isystem")).collect()
    };
    (ask("--cflags"), ask("--libs"))
}

/// Compiles sources with the pool's flags, links them, and runs the program.
fn run(pool: &Pool, kind: &str, sources: &[PathBuf]) {
    let directory = directory(pool.name);
    let (cflags, libraries) = package_flags(pool);
    let mut flags: Vec<String> = ["bindings/c/include", "bindings/cpp/include"]
        .map(|include| format!("-I{}", source_root().join(include).display()))
        .to_vec();
    flags.extend(["-O1", "-g0", "-pthread"].iter().chain(pool.flags).map(|&flag| flag.to_owned()));
    flags.extend(cflags);

    let mut objects = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let object = directory.join(format!("{kind}-{index}.o"));
        compile(source, pool.standard, &library().include, &flags, &object)
            .unwrap_or_else(|message| panic!("{message}"));
        objects.push(object);
    }
    let mut inputs: Vec<&Path> = objects.iter().map(PathBuf::as_path).collect();
    let libraries: Vec<PathBuf> =
        libraries.iter().map(PathBuf::from).chain(pool.flags.iter().map(PathBuf::from)).collect();
    inputs.extend(libraries.iter().map(PathBuf::as_path));
    let program = directory.join(kind);
    let mut command = Command::new(&program);
    command.env_remove("LD_LIBRARY_PATH");
    link(&inputs, pool.standard, library(), Linkage::Shared, &program)
        .and_then(|()| process::run(&mut command, &program.with_extension("log"), PATIENCE))
        .unwrap_or_else(|message| panic!("{message}"));
}

fn both(pool: &Pool) {
    let file = format!("{}.{}", pool.name, extension(pool.standard));
    run(pool, "test", &[source_root().join("tests/pools").join(&file)]);
    let mut sources = vec![source_root().join("examples/pools").join(&file)];
    sources.extend(pool.example_sources.iter().map(|source| source_root().join(source)));
    run(pool, "example", &sources);
}

/// One test for each pool, under its name; and the list of them.
macro_rules! pools {
    ($($name:ident { $($field:ident: $value:expr),* })*) => {
        const POOLS: &[Pool] = &[$(Pool { name: stringify!($name), $($field: $value,)* ..POOL }),*];
        $(
            #[test]
            fn $name() {
                let pool = POOLS.iter().find(|pool| pool.name == stringify!($name));
                both(pool.expect("it is in the list"));
            }
        )*
    };
}

pools! {
    pthreads { example_sources: &["examples/pool/pool.c"] }
    glibc { flags: POSIX }
    glib { package: Some("glib-2.0"), debian: "libglib2.0-dev" }
    libuv { package: Some("libuv"), debian: "libuv1-dev", flags: POSIX }
    openmp { flags: &["-fopenmp"] }
    tbb { standard: CPP, package: Some("tbb"), debian: "libtbb-dev" }
    boost_asio { standard: CPP, debian: "libboost-dev" }
    asio { standard: CPP, debian: "libasio-dev" }
    std_async { standard: CPP }
    coroutines { standard: CPP20, debian: "libasio-dev" }
    futures { standard: CPP, debian: "libthread-pool-dev" }
}

/// Each worker of Node has a loop, and loads the add-on for itself; Node unloads it with the last.
/// What a worker's thread has must have ended by then, or its end calls code that has gone.
#[test]
fn node_addons() {
    let directory = directory("node");
    let sources = source_root().join("examples/pools/node");
    let addon = directory.join("addon.node");
    let mut command = compiler(C);
    command.args(STRICT).args(POSIX).args(["-shared", "-fPIC", "-isystem", "/usr/include/node"]);
    command.arg("-I").arg(&library().include);
    command.arg("-I").arg(source_root().join("bindings/c/include"));
    command.arg(sources.join("addon.c")).arg("-o").arg(&addon).arg(&library().shared);
    command.arg(format!("-Wl,-rpath,{}", library().run_time_directory.display()));
    process::output_of(&mut command);
    let mut command = Command::new("node");
    command.arg(sources.join("main.js")).arg(&addon).env_remove("LD_LIBRARY_PATH");
    let log = directory.join("log");
    process::run(&mut command, &log, PATIENCE).unwrap_or_else(|message| panic!("{message}"));
    let printed = fs::read_to_string(log).expect("the log is there");
    assert_eq!(printed, "5 workers have ended; 0 values are left\n");
}

/// The headers that pools are used with, alone in a file, as C and as C++.
#[test]
fn the_adapters_headers_stand_alone() {
    let directory = directory("headers");
    let include = format!("-I{}", source_root().join("bindings/c/include").display());
    let source = directory.join("alone.c");
    for header in ["sweep", "openmp"] {
        let text = format!("#include <threadlocalmap_{header}.h>\nextern tls_key_t key;\n");
        fs::write(&source, text).expect("the build directory can be written");
        for standard in [C, Standard::c("c17"), CPP] {
            let flags = [include.as_str(), POSIX[0], "-fopenmp", "-Wconversion", "-Wshadow"];
            compile(&source, standard, &library().include, flags, &directory.join("alone.o"))
                .unwrap_or_else(|message| panic!("{header}: {message}"));
        }
    }
}

/// The error names the options.
#[test]
fn the_sweep_needs_posix_and_says_so() {
    let directory = directory("sweep");
    let include = format!("-I{}", source_root().join("bindings/c/include").display());
    let source = directory.join("strict.c");
    fs::write(&source, "#include <threadlocalmap_sweep.h>\n")
        .expect("the directory can be written");
    let compiled = compile(&source, C, &library().include, [&include], &directory.join("strict.o"));
    let message = compiled.expect_err("strict C11 has no CLOCK_MONOTONIC");
    assert!(message.contains("compile with -std=gnu11"), "{message}");
}

/// Where exceptions are off, an observer reports its error by an error code.
#[test]
fn tbb_without_exceptions() {
    let tbb = POOLS.iter().find(|pool| pool.name == "tbb").expect("it is in the list");
    let directory = directory("tbb");
    let source = directory.join("without_exceptions.cpp");
    let text = "#include <threadlocalmap/tbb.hpp>\n\
        bool observe(tbb::task_arena &arena, std::error_code &error);\n\
        bool observe(tbb::task_arena &arena, std::error_code &error) {\n\
        \x20 const tls::arena_observer observer(arena, error);\n\
        \x20 return !error;\n\
        }\n";
    fs::write(&source, text).expect("the build directory can be written");
    let mut flags = package_flags(tbb).0;
    flags.push(format!("-I{}", source_root().join("bindings/cpp/include").display()));
    flags.extend(["-fno-exceptions", "-fno-rtti", "-pthread"].map(str::to_owned));
    compile(&source, CPP, &library().include, &flags, &source.with_extension("o"))
        .unwrap_or_else(|message| panic!("{message}"));
}

/// The names of the sources in a folder.
fn sources_in(folder: &str) -> BTreeSet<String> {
    fs::read_dir(source_root().join(folder))
        .expect("the folder can be read")
        .map(|file| file.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "c" || e == "cpp"))
        .map(|path| path.file_name().expect("it has a name").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_pool_has_a_test_and_an_example() {
    let listed: BTreeSet<String> =
        POOLS.iter().map(|pool| format!("{}.{}", pool.name, extension(pool.standard))).collect();
    for folder in ["tests/pools", "examples/pools"] {
        assert_eq!(sources_in(folder), listed, "{folder} on the left, pools! on the right");
    }
}
