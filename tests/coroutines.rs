// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tests/cpp/coroutines.cpp`: C++20 coroutines that are resumed on different
//! threads, with the inlined look-ups and with the exported functions, linked with the shared
//! and with the static library.

mod support;

use std::process::Command;
use std::time::Duration;

use support::compiler::{compile, link, Linkage, Standard};
use support::library::library;
use support::{process, scratch, source_root, suite};

const CPP20: Standard = Standard::cpp("c++20");
const PATIENCE: Duration = Duration::from_secs(120);

fn runs(name: &str, flags: &[&str]) {
    let directory = scratch("coroutines");
    let object = directory.join(name).with_extension("o");
    let include = format!("-I{}", suite::include().display());
    let flags = [&[include.as_str()], flags].concat();
    let source = source_root().join("tests/cpp/coroutines.cpp");
    compile(&source, CPP20, &library().include, &flags, &object)
        .unwrap_or_else(|message| panic!("{message}"));
    for linkage in Linkage::BOTH {
        let program = directory.join(format!("{name}-{}", linkage.name()));
        let log = program.with_extension("log");
        let mut command = Command::new(&program);
        command.env_remove("LD_LIBRARY_PATH");
        link(&[&object], CPP20, library(), linkage, &program)
            .and_then(|()| process::run(&mut command, &log, PATIENCE))
            .unwrap_or_else(|message| panic!("{message}"));
    }
}

#[test]
fn coroutines_move_with_the_inlined_look_ups() {
    runs("inlined", &["-O3"]);
}

#[test]
fn coroutines_move_with_the_exported_functions() {
    runs("exported", &["-DTLS_NO_INLINE"]);
}
