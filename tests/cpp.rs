// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C++ header: its tests with gcc and with clang, as C++17 and C++20, under the
//! sanitizers, without exceptions; what must not compile; plug-ins that are unloaded;
//! and that a get in a loop is compiled without a call.
//!
//! `ci/cpp.sh` runs this program, because not all of it can be run everywhere: it
//! leaves out what needs a compiler or a sanitizer that is not here.
//!
//! A configuration is a compiler with flags. In each, `tests/cpp/*.cpp` becomes one
//! program of Catch2's, with two shared objects linked and one loaded, and some
//! programs of their own.
//!
//! | environment | |
//! |---|---|
//! | `GXX`, `CLANGXX` | the compilers: `g++`, `clang++` |
//! | `THREADLOCALMAP_THREAD_LIB` | the library instrumented for ThreadSanitizer, without `.so` |
//! | `THREADLOCALMAP_THREAD_OBJECT` | an object to link with it |
//! | `THREADLOCALMAP_TEST_SCALE` | divides the number of repetitions; 20 under a sanitizer |

mod support;

#[path = "cpp/loops.rs"]
mod loops;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use support::library::{library, link_as_soname};
use support::process::{output_of, run, try_output_of};
use support::{scratch, source_root};

const PATIENCE: Duration = Duration::from_secs(600);

const WARNINGS: &[&str] =
    &["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"];

/// The sources of Catch2's program. All but `units_other` begin with `support.hpp`.
const TESTS: &[&str] = &[
    "pointer",
    "local",
    "values",
    "errors",
    "all_threads",
    "locked_visits",
    "snapshots",
    "atomic",
    "races",
    "this_thread",
    "take_all",
    "tasks",
    "map",
    "cancelled",
    "units",
    "shared_objects",
];

/// Programs of their own: exceptions are off, or guards end on another thread.
const PROGRAMS: &[Program] = &[
    Program {
        name: "without_exceptions",
        source: "without_exceptions",
        flags: &["-fno-exceptions", "-fno-rtti"],
    },
    Program { name: "elsewhere", source: "elsewhere", flags: &[] },
];

/// More of them: a sanitizer has an allocator of its own.
const UNSANITIZED: &[Program] = &[
    Program { name: "elsewhere_released", source: "elsewhere", flags: &["-DNDEBUG"] },
    Program { name: "out_of_memory", source: "out_of_memory", flags: &[] },
];

struct Program {
    name: &'static str,
    source: &'static str,
    flags: &'static [&'static str],
}

/// The compilers, as their users may name them.
fn gcc() -> String {
    env::var("GXX").unwrap_or_else(|_| "g++".to_owned())
}

fn clang() -> String {
    env::var("CLANGXX").unwrap_or_else(|_| "clang++".to_owned())
}

fn source(name: &str) -> PathBuf {
    source_root().join("tests/cpp").join(name)
}

/// A command's fault, as a panic.
fn must<T>(outcome: Result<T, String>) -> T {
    outcome.unwrap_or_else(|message| panic!("{message}"))
}

/// Catch2 itself: the slowest to compile, and nothing in it is ours; so once, for
/// all configurations.
fn catch2() -> &'static Path {
    static MAIN: OnceLock<PathBuf> = OnceLock::new();
    MAIN.get_or_init(|| {
        let object = scratch("cpp").join("main.o");
        let mut command = Command::new(gcc());
        command.args(["-std=c++17", "-c"]).arg(source("main.cpp")).arg("-o").arg(&object);
        output_of(&mut command);
        object
    })
}

/// A compiler with flags, and the library that its programs are linked with.
struct Configuration {
    name: &'static str,
    compiler: String,
    flags: &'static [&'static str],
    shared: PathBuf,
    run_time_directory: PathBuf,
    /// What programs need beside the library.
    linked: Option<PathBuf>,
}

impl Configuration {
    fn new(name: &'static str, compiler: String, flags: &'static [&'static str]) -> Self {
        let (shared, run_time_directory) =
            (library().shared.clone(), library().run_time_directory.clone());
        Self { name, compiler, flags, shared, run_time_directory, linked: None }
    }

    fn is_sanitized(&self) -> bool {
        self.flags.iter().any(|flag| flag.starts_with("-fsanitize"))
    }

    fn path(&self, name: &str) -> PathBuf {
        scratch("cpp").join(self.name).join(name)
    }

    /// A strict compiler with the headers of the bindings.
    fn compiler(&self) -> Command {
        let mut command = Command::new(&self.compiler);
        command.args(self.flags).arg("-g1").args(WARNINGS).arg("-pthread");
        for directory in ["bindings/cpp/include", "include"] {
            command.arg("-I").arg(source_root().join(directory));
        }
        command
    }

    fn link_library(&self, command: &mut Command) {
        let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
        rpath.push(&self.run_time_directory);
        command.args(&self.linked).arg(&self.shared).arg(rpath).args(["-pthread", "-ldl"]);
    }

    /// One source to one file, linked with the library; the file.
    fn link(&self, name: &str, from: &str, flags: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut command = self.compiler();
        command.args(flags).arg(source(from)).arg("-o").arg(&path);
        self.link_library(&mut command);
        must(try_output_of(&mut command).map(drop));
        path
    }

    /// What nearly every test includes, compiled once: half of the time that they take.
    fn prepare(&self) {
        let prepared = self.path("support.hpp.gch");
        let mut command = self.compiler();
        command.args(["-x", "c++-header"]).arg(source("support.hpp")).arg("-o").arg(prepared);
        output_of(&mut command);
    }

    /// The compiler for one of the tests.
    fn test(&self, name: &str, prepared: bool) -> Command {
        let mut command = self.compiler();
        if prepared {
            command.arg("-include").arg(self.path("support.hpp"));
        }
        if name == "shared_objects" {
            command.arg(format!("-DLATE_OBJECT=\"{}\"", self.path("late_object.so").display()));
        }
        command.arg(source(&format!("{name}.cpp")));
        command
    }

    /// The program of all tests.
    fn link_tests(&self) -> PathBuf {
        let mut objects = vec![catch2().to_owned()];
        self.prepare();
        for (name, prepared) in
            TESTS.iter().map(|name| (*name, true)).chain([("units_other", false)])
        {
            let object = self.path(&format!("{name}.o"));
            output_of(self.test(name, prepared).arg("-c").arg("-o").arg(&object));
            objects.push(object);
        }
        for object in ["first_object", "second_object", "late_object"] {
            let define = format!("-DOBJECT_NAME={object}");
            let flags = ["-fPIC", "-shared", "-fvisibility=hidden", &define];
            let file = self.link(&format!("{object}.so"), "object.cpp", &flags);
            if object != "late_object" {
                objects.push(file);
            }
        }
        let path = self.path("tests");
        let mut command = Command::new(&self.compiler);
        command.args(self.flags).args(objects).arg("-o").arg(&path);
        self.link_library(&mut command);
        output_of(&mut command);
        path
    }

    fn run(&self, program: &Path, arguments: &[&str]) {
        let mut command = Command::new(program);
        command.args(arguments).env_remove("LD_LIBRARY_PATH");
        if self.is_sanitized() && env::var_os("THREADLOCALMAP_TEST_SCALE").is_none() {
            command.env("THREADLOCALMAP_TEST_SCALE", "20");
        }
        must(run(&mut command, &program.with_extension("log"), PATIENCE));
    }

    /// Builds and runs everything but plug-ins.
    fn check(&self) {
        fs::create_dir_all(self.path("")).expect("the build directory can be written");
        self.run(&self.link_tests(), &[]);
        let more = if self.is_sanitized() { &[][..] } else { UNSANITIZED };
        for program in PROGRAMS.iter().chain(more) {
            let mut flags = program.flags.to_vec();
            if self.is_sanitized() {
                // It asks for what -fno-rtti takes away.
                flags.push("-fno-sanitize=vptr");
            }
            self.run(&self.link(program.name, &format!("{}.cpp", program.source), &flags), &[]);
        }
    }

    /// Looks for errors and warnings only.
    fn check_syntax(&self) {
        fs::create_dir_all(self.path("")).expect("the build directory can be written");
        self.prepare();
        let check = |mut command: Command| drop(output_of(command.arg("-fsyntax-only")));
        TESTS.iter().for_each(|name| check(self.test(name, true)));
        for name in ["units_other", "elsewhere", "plugin", "out_of_memory"] {
            check(self.test(name, false));
        }
        let mut without = self.test("without_exceptions", false);
        without.args(["-fno-exceptions", "-fno-rtti"]);
        check(without);
    }

    /// 100 of 100 plug-ins are unmapped. A unique symbol ("u" for nm) would keep one.
    fn check_plugins(&self) {
        fs::create_dir_all(self.path("")).expect("the build directory can be written");
        let unload = self.link("unload", "unload.cpp", &[]);
        let plugin = |kind: &str, flags: &[&str]| {
            let flags = [&["-fPIC", "-shared"], flags].concat();
            let file = self.link(&format!("plugin_{kind}.so"), "plugin.cpp", &flags);
            let symbols = output_of(Command::new("nm").arg("-C").arg(&file));
            let unique: Vec<&str> = symbols.lines().filter(|line| line.contains(" u ")).collect();
            assert_eq!(unique, [""; 0], "unique symbols in {}", file.display());
            self.run(&unload, &[file.to_str().expect("a path is text"), kind, "100"]);
            file
        };
        plugin("any", &[]);
        // In a program in C only the one that is always C++17: as C++20 a plug-in has functions
        // of std::string in it, to which libstdc++ binds there: that keeps it, whatever this
        // header does.
        let owners = plugin("owners", &["-DOWNERS_DESTROY", "-std=c++17"]);
        let plain = self.path("unload_plain");
        let mut command = Command::new(env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
        command.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]);
        output_of(command.arg(source("unload_plain.c")).arg("-o").arg(&plain).arg("-ldl"));
        self.run(&plain, &[owners.to_str().expect("a path is text")]);
    }
}

#[test]
fn gcc_cpp20() {
    Configuration::new("gcc_cpp20", gcc(), &["-std=c++20", "-O1"]).check();
}

#[test]
fn clang_cpp17() {
    Configuration::new("clang_cpp17", clang(), &["-std=c++17", "-O0"]).check();
}

#[test]
fn clang_cpp20_has_no_warning() {
    Configuration::new("clang_cpp20", clang(), &["-std=c++20"]).check_syntax();
}

/// They are in C, with its casts; gcc does not warn of those in `extern "C"`.
#[test]
fn clang_takes_the_headers_in_c_without_a_warning() {
    let all = Configuration::new("clang_c_headers", clang(), &["-std=c++17", "-Wold-style-cast"]);
    fs::create_dir_all(all.path("")).expect("the build directory can be written");
    for (header, needs) in [("pthread", "pthread.h"), ("sweep", "pthread.h"), ("uv", "uv.h")] {
        let file = all.path(&format!("{header}.cpp"));
        let text =
            format!("#if __has_include(<{needs}>)\n#include <threadlocalmap_{header}.h>\n#endif\n");
        fs::write(&file, text).expect("the build directory can be written");
        let mut command = all.compiler();
        command.arg("-I").arg(source_root().join("bindings/c/include"));
        output_of(command.arg("-fsyntax-only").arg(&file));
    }
}

#[test]
fn address_sanitizer() {
    let flags =
        &["-std=c++17", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"];
    Configuration::new("address_sanitizer", gcc(), flags).check();
}

#[test]
fn thread_sanitizer() {
    let flags = &["-std=c++17", "-O0", "-fsanitize=thread"];
    let mut all = Configuration::new("thread_sanitizer", gcc(), flags);
    let given = |name: &str| {
        env::var_os(name).map(PathBuf::from).unwrap_or_else(|| {
            panic!("no {name}: `make check STEPS=cpp` builds the library for this test")
        })
    };
    all.shared = given("THREADLOCALMAP_THREAD_LIB").with_extension("so");
    all.shared = all.shared.canonicalize().expect("the library is there");
    all.linked = Some(given("THREADLOCALMAP_THREAD_OBJECT"));
    all.run_time_directory = scratch("cpp/lib-thread");
    link_as_soname(&all.shared, &all.run_time_directory);
    all.check();
}

#[test]
fn gcc_plugins_are_unloaded() {
    Configuration::new("gcc_plugins", gcc(), &["-std=c++20", "-O1"]).check_plugins();
}

#[test]
fn clang_plugins_are_unloaded() {
    Configuration::new("clang_plugins", clang(), &["-std=c++17", "-O0"]).check_plugins();
}

/// What a case of `refused.cpp` must be refused with; the one without words compiles.
fn cases() -> Vec<(String, String)> {
    let text = fs::read_to_string(source("refused.cpp")).expect("it is there");
    let lines = text.lines().filter_map(|line| {
        let line = line.strip_prefix("#if CASE == ").or(line.strip_prefix("#elif CASE == "))?;
        let (number, words) = line.split_once(" // says:")?;
        Some((number.to_owned(), words.trim().to_owned()))
    });
    lines.collect()
}

fn misuse_is_refused(name: &'static str, compiler: String, flags: &'static [&'static str]) {
    let all = Configuration::new(name, compiler, flags);
    let try_case = |number: &str, more: &[&str]| {
        let mut command = all.compiler();
        command.args(more).arg(format!("-DCASE={number}")).arg("-fsyntax-only");
        try_output_of(command.arg(source("refused.cpp"))).map(drop)
    };
    let cases = cases();
    assert!(cases.len() > 5, "cases of refused.cpp: {cases:?}");
    for (number, words) in &cases {
        match try_case(number, &["-Wno-error"]) {
            Ok(()) => assert_eq!(words, "", "case {number} of refused.cpp compiles"),
            Err(said) => assert!(
                !words.is_empty() && said.contains(words.as_str()),
                "case {number} of refused.cpp does not say {words:?}, but:\n{said}"
            ),
        }
    }
    let said = try_case("0", &["-std=c++14"]).expect_err("it compiles as C++14");
    let words = "threadlocalmap.hpp needs C++17: compile with -std=c++17";
    assert!(said.contains(words), "as C++14 it says:\n{said}");
}

#[test]
fn gcc_refuses_misuse() {
    misuse_is_refused("gcc_refuses", gcc(), &["-std=c++20"]);
}

#[test]
fn clang_refuses_misuse() {
    misuse_is_refused("clang_refuses", clang(), &["-std=c++17"]);
}

/// The code of the loops of `hot_loop.cpp`, as `objdump` writes it.
fn code_of_loops(name: &str, compiler: &str, flags: &[&str]) -> String {
    let object = scratch("cpp").join(format!("hot_loop_{name}.o"));
    let mut command = Command::new(compiler);
    for directory in ["bindings/cpp/include", "include"] {
        command.arg("-I").arg(source_root().join(directory));
    }
    command.args(flags).arg("-c").arg(source("hot_loop.cpp")).arg("-o").arg(&object);
    output_of(&mut command);
    output_of(Command::new("objdump").args(["-d", "--no-show-raw-insn"]).arg(object))
}

/// In programs and in shared objects. Without inlining the calls are seen: so the
/// check finds them.
fn a_get_in_a_loop_has_no_call(name: &str, compiler: &str) {
    for flags in [&["-std=c++17", "-O2"][..], &["-std=c++20", "-O2", "-fPIC"]] {
        let faults = loops::faults(&code_of_loops(name, compiler, flags));
        assert_eq!(faults, [""; 0], "{compiler} {flags:?}");
    }
    let code = code_of_loops(name, compiler, &["-std=c++17", "-O2", "-DTLS_NO_INLINE"]);
    assert_ne!(loops::faults(&code), [""; 0], "a call is not seen");
}

#[test]
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn gcc_inlines_a_get_in_a_loop() {
    a_get_in_a_loop_has_no_call("gcc", &gcc());
}

#[test]
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn clang_inlines_a_get_in_a_loop() {
    a_get_in_a_loop_has_no_call("clang", &clang());
}
