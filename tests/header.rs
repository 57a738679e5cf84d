// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header: that it compiles, and says what it should.
//!
//! `THREADLOCALMAP_WRITE_HEADER=1 cargo test --test header` writes
//! `include/threadlocalmap.h` anew from the Rust sources.

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::compiler::{compile, compiler, link, Linkage, Standard};
use support::declarations::{declarations, declared_name, parameters};
use support::library::{self, library};
use support::sections::{in_sections, names_given, without_comments};
use support::{process, scratch, source_root};

const STANDARDS: [Standard; 6] = [
    Standard::c("c99"),
    Standard::c("c11"),
    Standard::c("c17"),
    Standard::cpp("c++11"),
    Standard::cpp("c++17"),
    Standard::cpp("c++20"),
];

/// With the inlined hit, and with the exported functions only.
const INLINING: [&[&str]; 2] = [&[], &["-DTLS_NO_INLINE"]];

/// More than `-Wextra`, as careful users of the header have it.
const STRICTER: [&str; 5] =
    ["-Wconversion", "-Wshadow", "-Wundef", "-Wcast-qual", "-Wredundant-decls"];

/// Includes the header and nothing else.
const ALONE: &str = "#include <threadlocalmap.h>\n";

/// Everything that a macro or an inline function of the header takes part in.
/// `NAME` is defined by the command line.
const USE: &str = "\
#include <threadlocalmap.h>
#ifdef __cplusplus
extern \"C\"
#endif
int NAME(tls_key_t key, void *value);
int NAME(tls_key_t key, void *value)
{
    if (tls_set(key, value) != TLS_OK)
        return 1;
    if (tls_get(key) != value || (tls_get)(key) != value)
        return 2;
    if (tls_get_existing(key) != value || (tls_get_existing)(key) != value)
        return 3;
    return tls_stale_count() == 0 && (tls_stale_count)() == 0 ? 0 : 4;
}
";

/// Calls two functions of two other translation units.
const MAIN: &str = "\
#include <threadlocalmap.h>
#ifdef __cplusplus
extern \"C\" {
#endif
int use_one(tls_key_t key, void *value);
int use_two(tls_key_t key, void *value);
#ifdef __cplusplus
}
#endif
int main(void)
{
    tls_key_t key = TLS_KEY_NONE;
    int value = 0;
    if (tls_key_create(&key, NULL) != TLS_OK)
        return 10;
    if (use_one(key, &value) != 0 || tls_get(key) != &value)
        return 20;
    if (use_two(key, NULL) != 0 || tls_get(key) != NULL)
        return 30;
    if (tls_key_release(key) != TLS_OK || tls_thread_detach() != TLS_OK)
        return 40;
    return 0;
}
";

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).expect("the build directory can be written");
    path
}

/// Runs one case after the other and reports all that fail.
fn check_all(cases: impl IntoIterator<Item = Result<(), String>>) {
    let failures: Vec<String> = cases.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_header_compiles_alone_and_twice_in_every_standard() {
    let directory = scratch("header-alone");
    let alone = write(&directory, "alone.c", ALONE);
    let twice = write(&directory, "twice.c", &format!("{ALONE}{ALONE}"));
    let include = library::include();
    let mut outcomes = Vec::new();
    for standard in STANDARDS {
        for flags in INLINING {
            for source in [&alone, &twice] {
                let flags = flags.iter().chain(&STRICTER);
                let object = directory.join("alone.o");
                outcomes.push(compile(source, standard, &include, flags, &object));
            }
        }
    }
    check_all(outcomes);
}

#[test]
fn the_inlined_calls_compile_with_every_optimisation_and_as_position_independent_code() {
    let directory = scratch("header-use");
    let source = write(&directory, "use.c", USE);
    let object = directory.join("use.o");
    let mut outcomes = Vec::new();
    for standard in STANDARDS {
        for inlining in INLINING {
            for options in [&["-O0"][..], &["-Os"], &["-O3"], &["-O0", "-fPIC"], &["-O2", "-fPIC"]]
            {
                let flags =
                    inlining.iter().chain(options).chain(&STRICTER).chain(&["-DNAME=use_one"]);
                outcomes.push(compile(&source, standard, &library::include(), flags, &object));
            }
        }
    }
    check_all(outcomes);
}

/// For C, whatever a constant is used for there. (For Rust: `tests/bindgen.rs`.)
const NO_KEY: &str = "\
#include <threadlocalmap.h>
#if TLS_KEY_NONE != 0
#error
#endif
#ifdef __cplusplus
#include <type_traits>
static_assert(std::is_same<decltype(TLS_KEY_NONE), tls_key_t>::value, \"type\");
#else
_Static_assert(_Generic(TLS_KEY_NONE, tls_key_t: 1, default: 0), \"type\");
#endif
tls_key_t key = TLS_KEY_NONE;
int is_none(tls_key_t other);
int is_none(tls_key_t other)
{
    switch (other) {
    case TLS_KEY_NONE:
        return 1;
    default:
        return 0;
    }
}
";

#[test]
fn the_number_of_no_key_is_a_constant_for_the_compiler_and_the_preprocessor() {
    let directory = scratch("header-no-key");
    let source = write(&directory, "no_key.c", NO_KEY);
    let object = directory.join("no_key.o");
    check_all(
        [Standard::c("c11"), Standard::cpp("c++11"), Standard::cpp("c++20")]
            .map(|standard| compile(&source, standard, &library::include(), STRICTER, &object)),
    );
}

/// The code of an object, as the disassembler shows it.
fn code_of(object: &Path) -> String {
    let mut command = tool("OBJDUMP", "objdump");
    command.args(["--disassemble", "--reloc", "--no-show-raw-insn"]).arg(object);
    let listing = process::output_of(&mut command);
    // The first lines name the file.
    listing.lines().filter(|line| !line.contains("file format")).collect::<Vec<_>>().join("\n")
}

/// The compilers that know x86-64's two dialects of assembly; clang only where
/// it is installed.
fn compilers_of_both_dialects() -> Vec<Command> {
    let mut found = vec![compiler(Standard::c("c11"))];
    let clang = || Command::new("clang");
    if clang().arg("--version").output().is_ok_and(|output| output.status.success()) {
        let mut command = clang();
        command.args(["-std=c11", "-O2", "-g"]);
        found.push(command);
    }
    found
}

/// `-masm=intel` changes what the assembly inside of functions is read as. The
/// hit is the same code then, to the last instruction.
#[cfg(target_arch = "x86_64")]
#[test]
fn both_dialects_of_assembly_give_the_same_code() {
    let directory = scratch("header-dialects");
    let source = write(&directory, "use.c", USE);
    for options in [&["-O2"][..], &["-Os"], &["-O0"], &["-O2", "-fPIC"]] {
        for number in 0..compilers_of_both_dialects().len() {
            let code = ["att", "intel"].map(|dialect| {
                // One name: the listing shows it.
                let object = directory.join("use.o");
                let mut command = compilers_of_both_dialects().swap_remove(number);
                command.args(options).arg(format!("-masm={dialect}")).arg("-DNAME=use_one");
                command.arg("-I").arg(library::include());
                command.args(["-x", "c", "-c"]).arg(&source).arg("-o").arg(&object);
                process::output_of(&mut command);
                code_of(&object)
            });
            assert!(code[0].contains("%fs:"), "the hit is inlined:\n{}", code[0]);
            assert_eq!(code[0], code[1], "-masm=att on the left, {options:?}");
        }
    }
}

/// Two translation units, one of them in another language or without inlining,
/// in one program: each brings its own copy of what the header defines.
#[test]
fn several_translation_units_make_one_program() {
    let directory = scratch("header-units");
    let (source, main) = (write(&directory, "use.c", USE), write(&directory, "main.c", MAIN));
    let [c, cpp] = [Standard::c("c11"), Standard::cpp("c++17")];
    let mut outcomes = Vec::new();
    for (number, (one, two, flags)) in
        [(c, c, INLINING[0]), (cpp, cpp, INLINING[0]), (c, cpp, INLINING[0]), (c, c, INLINING[1])]
            .into_iter()
            .enumerate()
    {
        for linkage in Linkage::BOTH {
            let path = |name: &str| directory.join(format!("{number}-{}-{name}", linkage.name()));
            let (first, second, third) = (path("one.o"), path("two.o"), path("main.o"));
            let program = path("program");
            let include = &library().include;
            outcomes.push(
                compile(&source, one, include, ["-DNAME=use_one"], &first)
                    .and_then(|()| {
                        let flags = flags.iter().chain(&["-DNAME=use_two"]);
                        compile(&source, two, include, flags, &second)
                    })
                    .and_then(|()| compile(&main, two, include, flags, &third))
                    .and_then(|()| {
                        let objects = [first.as_path(), second.as_path(), third.as_path()];
                        link(&objects, two, library(), linkage, &program)
                    })
                    .and_then(|()| run(&program)),
            );
        }
    }
    check_all(outcomes);
}

/// The inlined hit inside somebody's own shared library.
#[test]
fn a_shared_object_may_use_the_inlined_calls() {
    let directory = scratch("header-shared");
    let (source, main) = (write(&directory, "use.c", USE), write(&directory, "main.c", MAIN));
    let mut outcomes = Vec::new();
    for standard in [Standard::c("c11"), Standard::cpp("c++17")] {
        let include = &library().include;
        let path = |name: &str| directory.join(format!("{}-{name}", standard.name));
        let (one, two, shared) = (path("one.o"), path("two.o"), path("libuse.so"));
        let (object, program) = (path("main.o"), path("program"));
        outcomes.push(
            compile(&source, standard, include, ["-fPIC", "-DNAME=use_one"], &one)
                .and_then(|()| {
                    compile(&source, standard, include, ["-fPIC", "-DNAME=use_two"], &two)
                })
                .and_then(|()| {
                    let mut command = compiler(standard);
                    command.args(["-shared", "-Wl,-z,defs"]).arg(&one).arg(&two);
                    command.arg(&library().shared).arg("-o").arg(&shared);
                    process::try_output_of(&mut command).map(drop)
                })
                .and_then(|()| compile(&main, standard, include, INLINING[0], &object))
                .and_then(|()| {
                    let objects = [object.as_path(), shared.as_path()];
                    link(&objects, standard, library(), Linkage::Shared, &program)
                })
                .and_then(|()| run(&program)),
        );
    }
    check_all(outcomes);
}

fn run(program: &Path) -> Result<(), String> {
    if library::TARGET != library::HOST {
        // Needs an emulator; tests/c.rs has a runner for that.
        return Ok(());
    }
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    process::run(&mut command, &program.with_extension("log"), Duration::from_secs(120))
}

// ---- What the header says ---------------------------------------------------

fn header_path() -> PathBuf {
    source_root().join("include/threadlocalmap.h")
}

fn header() -> String {
    fs::read_to_string(header_path()).expect("the header is there")
}

fn generated_header() -> String {
    let config = cbindgen::Config::from_file(source_root().join("cbindgen.toml"))
        .expect("cbindgen.toml is right");
    let bindings = cbindgen::Builder::new()
        .with_crate(source_root())
        .with_config(config)
        .generate()
        .expect("cbindgen understands the sources");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("a header is text");
    // The functions by their plain names (src/capi/symbols.rs).
    let text: String = text.replace("tlm_", "tls_").lines().map(as_c_has_it).collect();
    let sections = fs::read_to_string(source_root().join("src/capi/sections.txt"));
    in_sections(&text, &sections.expect("the list of sections is there"))
}

/// A line of the header, with what cbindgen can't say: a negative number that
/// is a macro stands in parentheses, the number of no key has its type, and
/// comments are those of every C.
fn as_c_has_it(line: &str) -> String {
    if let Some((code, comment)) = line.split_once(" // ") {
        return format!("{} /* {comment} */\n", code.trim_end());
    }
    let line = match line.split_once(" -") {
        Some((macro_name, number)) if line.starts_with("#define TLS_") => {
            format!("{macro_name} (-{number})")
        }
        _ if line == "#define TLS_KEY_NONE 0" => "#define TLS_KEY_NONE UINT64_C(0)".to_owned(),
        _ => line.to_owned(),
    };
    line + "\n"
}

#[test]
fn the_header_is_what_the_sources_say() {
    let generated = generated_header();
    if env::var_os("THREADLOCALMAP_WRITE_HEADER").is_some_and(|value| value == "1") {
        fs::write(header_path(), generated).expect("the header can be written");
        return;
    }
    let committed = header();
    let difference = committed.lines().zip(generated.lines()).position(|(old, new)| old != new);
    let line =
        difference.unwrap_or_else(|| committed.lines().count().min(generated.lines().count()));
    assert!(
        committed == generated,
        "include/threadlocalmap.h is not what the sources say, from line {}:\n  committed: {:?}\n  \
         generated: {:?}\nwrite it anew:\n  THREADLOCALMAP_WRITE_HEADER=1 cargo test --test header",
        line + 1,
        committed.lines().nth(line),
        generated.lines().nth(line),
    );
}

/// What the library itself installs for C.
const HEADERS: [&str; 3] = [
    "include/threadlocalmap.h",
    "include/threadlocalmap_inline.h",
    "include/threadlocalmap_symbols.h",
];

/// Goes through the installed headers, line by line.
fn check_headers(complaint: impl Fn(&str) -> Option<String>) {
    check_all(HEADERS.into_iter().flat_map(|file| {
        let text = fs::read_to_string(source_root().join(file)).expect("the header is there");
        complaint(&text).map(|complaint| Err(format!("{file}: {complaint}")))
    }));
}

#[test]
fn the_header_fits_on_a_screen() {
    check_headers(|text| {
        let mut lines = text.lines().enumerate();
        let long = lines.find(|(_, line)| line.chars().count() > 100 || line.ends_with(' '));
        let long = long.map(|(at, _)| format!("line {} is too long or ends blank", at + 1));
        let blank = ["\n\n\n", "\n *\n *\n"].iter().any(|lines| text.contains(lines));
        long.or_else(|| blank.then(|| "several blank lines in a row".to_owned()))
    });
}

#[test]
fn the_header_has_comments_of_every_c() {
    check_headers(|text| {
        let code = without_comments(text);
        code.lines().find(|line| line.contains("//")).map(|line| format!("a C++ comment: {line}"))
    });
}

#[test]
fn the_header_gives_names_of_the_library_only() {
    check_headers(|text| {
        let names = names_given(text);
        // The one with the symbols has a guard only.
        let least = if text.contains("#pragma redefine_extname") { 1 } else { 4 };
        assert!(names.len() >= least, "names have been found: {names:?}");
        let ours = |name: &String| {
            ["tls_", "TLS_", "THREADLOCALMAP_"].iter().any(|prefix| name.starts_with(prefix))
        };
        names.into_iter().find(|name| !ours(name)).map(|name| format!("declares {name}"))
    });
}

/// The value of a `#define` of the header.
fn macro_value(header: &str, name: &str) -> String {
    let define = format!("#define {name} ");
    let line = header.lines().find(|line| line.starts_with(&define));
    line.unwrap_or_else(|| panic!("the header has no {name}"))[define.len()..].trim().to_owned()
}

/// With `tests/c/errors/errors.c`, which compares the macros with `tls_version()`.
#[test]
fn the_version_macros_are_cargos_version() {
    let header = header();
    for (name, version) in [
        ("TLS_VERSION_MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("TLS_VERSION_MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("TLS_VERSION_PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ] {
        assert_eq!(macro_value(&header, name), version, "{name}");
    }
    let text = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(macro_value(&header, "TLS_VERSION_STRING"), text);
}

/// The lines of a comment that begin with one of Doxygen's tags, without what
/// is in brackets: `@param[out] value Receives the value.`
fn tagged<'a>(comment: &'a str, tag: &'a str) -> impl Iterator<Item = &'a str> {
    let texts = comment.lines().map(|line| line.trim_start_matches([' ', '*']));
    texts.filter_map(move |text| {
        let rest = text.strip_prefix(tag)?;
        let rest = rest.strip_prefix("[out]").or(rest.strip_prefix("[in,out]")).unwrap_or(rest);
        rest.strip_prefix(' ').map(str::trim_start)
    })
}

fn first_words<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    texts.filter_map(|text| text.split_whitespace().next()).collect()
}

#[test]
fn every_function_is_documented() {
    let header = header();
    let functions = declarations(&header);
    assert!(functions.len() >= 50, "only {} functions found in the header", functions.len());
    let mut codes = 0;
    for function in functions {
        let (name, comment) = (&function.name, &function.comment);
        let text = comment.trim_matches(|c: char| c.is_whitespace() || c == '*');
        assert!(!text.is_empty(), "{name} has no comment directly above it");
        for fact in ["Threads: ", "Blocks: ", "Runs: ", "Signals: "] {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words.matches(fact).count(), 1, "{fact:?} in the comment on {name}");
        }
        let parameters = first_words(tagged(comment, "@param"));
        assert_eq!(parameters, function.parameter_names(), "the @param of {name}");
        let returns = usize::from(function.result != "void");
        assert_eq!(tagged(comment, "@return").count(), returns, "the @return of {name}");
        assert_eq!(tagged(comment, "@since").count(), 1, "the @since of {name}");
        for code in tagged(comment, "@retval") {
            codes += 1;
            let (code, text) = code.split_once(' ').unwrap_or((code, ""));
            assert!(!macro_value(&header, code).is_empty() && !text.is_empty(), "{name}: {code}");
        }
        // The other way round: who promises an error code lists some.
        let promises = comment.contains("an error code:");
        assert_eq!(promises, tagged(comment, "@retval").count() > 0, "the @retval of {name}");
    }
    assert!(codes >= 150, "only {codes} error codes of functions found in the header");
}

/// A callback's type has the same tags.
#[test]
fn every_type_of_a_callback_is_documented() {
    let header = header();
    let mut found = 0;
    for item in header.split("\n\n").filter(|item| item.contains("\ntypedef ")) {
        let (comment, code) = item.split_once("*/\n").expect("a type has a comment");
        let Some((result, list)) = code.split_once("(*").filter(|_| !code.contains('{')) else {
            continue;
        };
        let (name, list) = list.split_once(")(").expect("a pointer to a function");
        let declared = parameters(list);
        let names: Vec<_> = declared.iter().map(|parameter| declared_name(parameter)).collect();
        assert_eq!(first_words(tagged(comment, "@param")), names, "the @param of {name}");
        let returns = usize::from(result.trim() != "typedef void");
        assert_eq!(tagged(comment, "@return").count(), returns, "the @return of {name}");
        found += 1;
    }
    assert_eq!(found, 5, "callback types have been found");
}

/// A tool of the compiler's, or the one that the environment names.
fn tool(variable: &str, name: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or_else(|| name.into()))
}
