// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header, read by bindgen: what Rust programs get of it.
//!
//! bindgen evaluates macros itself, and knows neither casts nor macros that call
//! other macros. So a program has to show that no constant is missing and that
//! each has its value: one in C and one in Rust print all that the header has,
//! and both print the same.
//!
//! Needs the command `bindgen` (Debian: bindgen), or what `BINDGEN` names.

mod support;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::compiler::{compiler, Standard};
use support::declarations::declarations;
use support::library::{self, library};
use support::sections::without_comments;
use support::{process, scratch, source_root};

/// With the inlined hit, and with the exported functions only.
const INLINING: [(&str, &[&str]); 2] = [("inline", &[]), ("plain", &["-DTLS_NO_INLINE"])];

fn header() -> String {
    fs::read_to_string(source_root().join("include/threadlocalmap.h")).expect("the header is there")
}

/// A constant of the header; a text, or a number.
struct Constant {
    name: String,
    is_text: bool,
}

/// The macros that take no arguments and have a value.
fn constants(header: &str) -> Vec<Constant> {
    let code = without_comments(header);
    let constant = |line: &str| {
        let (name, value) = line.strip_prefix("#define ")?.trim().split_once(' ')?;
        let is_text = value.trim_start().starts_with('"');
        (!name.contains('(')).then(|| Constant { name: name.to_owned(), is_text })
    };
    code.lines().filter_map(constant).collect()
}

/// The structures whose members the header shows.
fn structures(header: &str) -> Vec<String> {
    let code = without_comments(header);
    let name =
        |line: &str| Some(line.strip_prefix("typedef struct ")?.strip_suffix(" {")?.to_owned());
    code.lines().filter_map(name).collect()
}

/// What bindgen makes of the header.
fn bindings(directory: &Path, flags: &[&str]) -> PathBuf {
    let file = directory.join("bindings.rs");
    let tool = env::var_os("BINDGEN").unwrap_or_else(|| "bindgen".into());
    let mut command = Command::new(tool);
    command.arg(library::include().join("threadlocalmap.h")).arg("-o").arg(&file);
    command.arg("--").args(flags);
    process::try_output_of(&mut command)
        .unwrap_or_else(|message| panic!("bindgen (Debian: bindgen) failed: {message}"));
    file
}

#[test]
fn bindgen_sees_every_constant_and_every_function() {
    let header = header();
    let constants = constants(&header);
    let functions = declarations(&header);
    assert!(constants.len() > 30 && functions.len() > 50, "the header has been read");
    for (name, flags) in INLINING {
        let file = bindings(&scratch(&format!("bindgen-seen-{name}")), flags);
        let text = fs::read_to_string(file).expect("bindgen has written it");
        let wanted = constants.iter().map(|constant| format!("pub const {}:", constant.name));
        let functions = functions.iter().map(|function| format!("pub fn {}(", function.name));
        let missing: Vec<String> =
            wanted.chain(functions).filter(|line| !text.contains(line.as_str())).collect();
        assert!(missing.is_empty(), "{name}: bindgen does not give {missing:?}");
    }
}

/// A program in C that prints each constant, and each structure's size and
/// alignment.
fn program_in_c(constants: &[Constant], structures: &[String]) -> String {
    let mut text = String::from(
        "#include <threadlocalmap.h>\n#include <stdalign.h>\n#include <stdio.h>\nint main(void)\n{\n",
    );
    for Constant { name, is_text } in constants {
        let (format, cast) = if *is_text { ("%s", "") } else { ("%lld", "(long long)") };
        writeln!(text, "  printf(\"{name} {format}\\n\", {cast}{name});").expect("a string grows");
    }
    for name in structures {
        writeln!(text, "  printf(\"{name} %zu %zu\\n\", sizeof({name}), alignof({name}));")
            .expect("a string grows");
    }
    text + "  return 0;\n}\n"
}

/// A program in Rust that prints the same, and uses the library by the bindings.
fn program_in_rust(constants: &[Constant], structures: &[String]) -> String {
    let mut text = String::from(
        "#![allow(warnings)]\ninclude!(\"bindings.rs\");\n\
         use std::mem::{align_of, size_of};\nfn main() {\n",
    );
    for Constant { name, is_text } in constants {
        let value = if *is_text {
            format!("std::str::from_utf8({name}.split_last().unwrap().1).unwrap()")
        } else {
            format!("{name} as i64")
        };
        writeln!(text, "    println!(\"{name} {{}}\", {value});").expect("a string grows");
    }
    for name in structures {
        writeln!(
            text,
            "    println!(\"{name} {{}} {{}}\", size_of::<{name}>(), align_of::<{name}>());"
        )
        .expect("a string grows");
    }
    text + "    let mut key: tls_key_t = TLS_KEY_NONE;
    let mut value = 7;
    let address: *mut _ = &mut value;
    unsafe {
        assert_eq!(tls_version(), TLS_VERSION_NUMBER as _);
        assert_eq!(tls_key_create(&mut key, std::ptr::null()), TLS_OK as _);
        assert_ne!(key, TLS_KEY_NONE);
        assert_eq!(tls_set(key, address.cast()), TLS_OK as _);
        assert_eq!(tls_get(key), address.cast());
        assert_eq!(tls_key_release(key), TLS_OK as _);
        assert_eq!(tls_set(key, address.cast()), TLS_ERR_DEAD_KEY);
    }
}
"
}

/// What the program in C prints.
fn printed_by_c(directory: &Path, source: &str, flags: &[&str]) -> String {
    let (file, program) = (directory.join("print.c"), directory.join("print-c"));
    fs::write(&file, source).expect("the build directory can be written");
    let mut command = compiler(Standard::c("c11"));
    command.arg("-I").arg(library::include()).args(flags).arg(&file).arg(&library().shared);
    command.arg(rpath()).arg("-o").arg(&program);
    process::output_of(&mut command);
    process::output_of(&mut Command::new(program))
}

fn printed_by_rust(directory: &Path, source: &str) -> String {
    let (file, program) = (directory.join("print.rs"), directory.join("print-rust"));
    fs::write(&file, source).expect("the build directory can be written");
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition", "2021"]).arg(&file).arg("-o").arg(&program);
    command.arg("-C").arg(format!("link-arg={}", library().shared.display()));
    command.arg("-C").arg(format!("link-arg={}", rpath()));
    process::output_of(&mut command);
    process::output_of(&mut Command::new(program))
}

/// So that a program finds the shared library by its SONAME.
fn rpath() -> String {
    format!("-Wl,-rpath,{}", library().run_time_directory.display())
}

/// The Rust program calls functions, too.
#[test]
fn constants_and_sizes_are_the_same_in_c_and_in_rust() {
    let header = header();
    let (constants, structures) = (constants(&header), structures(&header));
    assert!(structures.len() >= 3, "the header has been read: {structures:?}");
    for (name, flags) in INLINING {
        let directory = scratch(&format!("bindgen-values-{name}"));
        bindings(&directory, flags);
        let c = printed_by_c(&directory, &program_in_c(&constants, &structures), flags);
        let rust = printed_by_rust(&directory, &program_in_rust(&constants, &structures));
        assert_eq!(c.lines().count(), constants.len() + structures.len(), "{c}");
        assert_eq!(c, rust, "{name}: C on the left, Rust on the right");
    }
}
