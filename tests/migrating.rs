// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bindings/c/include/threadlocalmap_pthread.h`: programs for pthread keys and
//! `tss_t`, compiled as they are and with that header.
//!
//! Those of the first list name nothing of this library. Each is compiled with
//! the system's functions, with `-include threadlocalmap_pthread.h`, and with the
//! folder whose `pthread.h` includes it; all must run to their end and print the same. Those of the second list show
//! what differs, and need the header.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::compiler::{compile, compiler, link, Linkage, Standard};
use support::library::{library, HOST, TARGET};
use support::{process, scratch, source_root, suite};

/// As in `tests/c.rs`, and the same without the inlined look-up.
const VARIANTS: [(Standard, &[&str]); 3] = [
    (Standard::c("c11"), &["-DTLS_NO_INLINE"]),
    (Standard::c("c17"), &[]),
    (Standard::cpp("c++17"), &[]),
];
/// What careful users of a header add to `-Wextra`.
const STRICTER: [&str; 5] =
    ["-Wconversion", "-Wshadow", "-Wundef", "-Wcast-qual", "-Wold-style-definition"];
const WITH_HEADER: [&str; 2] = ["-include", "threadlocalmap_pthread.h"];
const PATIENCE: Duration = Duration::from_secs(120);

fn header_directory() -> PathBuf {
    source_root().join("bindings/c/include")
}

/// Puts the folder in front that has a `pthread.h`.
fn with_folder() -> String {
    format!("-I{}", header_directory().join("threadlocalmap_pthread").display())
}

/// Where a program's objects and executables go.
fn directory_of(program: &str) -> PathBuf {
    let directory = scratch("migrating").join(program);
    fs::create_dir_all(&directory).expect("the build directory can be written");
    directory
}

/// Compiles `tests/migrating/<program>.c` and links it with the library.
fn build(
    program: &str,
    (standard, flags): (Standard, &[&str]),
    extra: &[&str],
    linkage: Linkage,
    name: &str,
) -> PathBuf {
    let source = source_root().join("tests/migrating").join(program).with_extension("c");
    let path = directory_of(program).join(format!("{}-{}-{name}", standard.name, linkage.name()));
    let object = path.with_extension("o");
    let headers = [header_directory(), suite::include()];
    let mut all: Vec<String> = vec!["-D_POSIX_C_SOURCE=200809L".to_owned()];
    all.extend(headers.iter().map(|directory| format!("-I{}", directory.display())));
    all.extend(flags.iter().chain(extra).map(|&flag| flag.to_owned()));
    compile(&source, standard, &library().include, &all, &object)
        .and_then(|()| link(&[&object], standard, library(), linkage, &path))
        .unwrap_or_else(|message| panic!("{message}"));
    path
}

/// Runs a program to its end; what it printed.
fn output_of(program: &Path) -> String {
    let log = program.with_extension("log");
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    process::run(&mut command, &log, PATIENCE).unwrap_or_else(|message| panic!("{message}"));
    fs::read_to_string(log).expect("the log is there")
}

/// A program prints the same with the system's functions and with ours.
fn same_with_both(program: &str) {
    for variant in VARIANTS {
        let system = output_of(&build(program, variant, &[], Linkage::Shared, "system"));
        assert!(system.lines().count() >= 3, "{program} shows hardly anything:\n{system}");
        // C++ programs say themselves that they want <threads.h>.
        let threads: &[&str] = if variant.0.cpp { &["-include", "threads.h"] } else { &[] };
        let include = [threads, &WITH_HEADER[..]].concat();
        for linkage in Linkage::BOTH {
            let ours = output_of(&build(program, variant, &include, linkage, "header"));
            assert_eq!(ours, system, "{program}, {}, {linkage:?}", variant.0.name);
        }
        let folder = with_folder();
        let include = [threads, &[folder.as_str()]].concat();
        let ours = output_of(&build(program, variant, &include, Linkage::Shared, "folder"));
        assert_eq!(ours, system, "{program}, {}, with the folder", variant.0.name);
    }
}

/// A program that includes the header itself runs to its end.
fn runs(program: &str) {
    for variant in VARIANTS {
        output_of(&build(program, variant, &[], Linkage::Shared, "header"));
    }
}

const SAME: [&str; 3] = ["keys", "processes", "tss"];
const ONLY_OURS: [&str; 3] = ["differences", "many_keys", "no_system_key"];

#[test]
fn pthread_keys_do_the_same_with_the_header() {
    same_with_both("keys");
}

#[test]
fn ends_of_processes_are_the_same_with_the_header() {
    same_with_both("processes");
}

#[test]
fn tss_keys_do_the_same_with_the_header() {
    same_with_both("tss");
}

#[test]
fn what_differs_is_what_the_header_says() {
    runs("differences");
}

#[test]
fn without_a_system_key_destructors_are_refused() {
    runs("no_system_key");
}

#[test]
fn the_header_has_5000_keys_and_the_system_has_not() {
    for variant in VARIANTS {
        let ours = build("many_keys", variant, &WITH_HEADER, Linkage::Shared, "header");
        assert_eq!(output_of(&ours), "5000 keys, 20000 values destroyed\n");
    }
    let system = build("many_keys", VARIANTS[1], &[], Linkage::Shared, "system");
    let output = Command::new(&system).output().expect("the program can be run");
    assert_eq!(output.status.code(), Some(2), "the system's keys do not run out: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no key left: EAGAIN\n");
}

#[test]
fn the_header_stands_alone_and_causes_no_warning() {
    let directory = directory_of("alone");
    let source = directory.join("alone.c");
    fs::write(&source, "#include <threadlocalmap_pthread.h>\npthread_key_t key;\n")
        .expect("the build directory can be written");
    let include = format!("-I{}", header_directory().display());
    for standard in [Standard::c("c11"), Standard::c("c17"), Standard::cpp("c++17")] {
        let stricter = STRICTER.iter().filter(|flag| !standard.cpp || !flag.contains("old-style"));
        for no_tss in [None, Some("-DTHREADLOCALMAP_NO_TSS")] {
            let flags = stricter.clone().copied().chain(no_tss).chain([include.as_str()]);
            let object = directory.join("alone.o");
            compile(&source, standard, &library().include, flags, &object)
                .unwrap_or_else(|message| panic!("{TARGET}: {message}"));
        }
    }
}

#[test]
fn with_the_folder_a_source_defines_what_it_wants() {
    let directory = directory_of("folder");
    let source = directory.join("features.c");
    let program = directory.join("features");
    // A function of GNU's, and a key of ours.
    let text = "#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n#include <pthread.h>\n\
                int main(void) {\n  pthread_key_t key;\n  char name[16];\n  \
                if (pthread_getname_np(pthread_self(), name, sizeof name) != 0) return 1;\n  \
                return sizeof key == 8 && pthread_key_create(&key, 0) == 0 && key > 0xffffffffu ? 0 : 2;\n}\n";
    fs::write(&source, text).expect("the build directory can be written");
    let (include, folder) = (format!("-I{}", header_directory().display()), with_folder());
    let object = directory.join("features.o");
    for standard in [Standard::c("c11"), Standard::cpp("c++17")] {
        compile(&source, standard, &library().include, [&include, &folder], &object)
            .and_then(|()| link(&[&object], standard, library(), Linkage::Shared, &program))
            .unwrap_or_else(|message| panic!("{message}"));
        output_of(&program);
    }
}

#[test]
fn with_the_folder_the_cpp_library_sees_the_system() {
    let directory = directory_of("folder-others");
    let source = directory.join("mutex.cpp");
    // <mutex> includes <pthread.h> before the program does.
    let text = "#include <mutex>\n#include <pthread.h>\n\
                static_assert(sizeof(__gthread_key_t) == 4 && sizeof(pthread_key_t) == 8, \"\");\n";
    fs::write(&source, text).expect("the build directory can be written");
    let (include, folder) = (format!("-I{}", header_directory().display()), with_folder());
    let mut command = compiler(Standard::cpp("c++17"));
    command.args([&include, &folder]).arg("-I").arg(&library().include);
    process::output_of(command.arg("-fsyntax-only").arg(&source));
}

/// Flags are for all sources of a program.
#[test]
fn sources_in_assembly_pass_with_either() {
    let directory = directory_of("assembly");
    let source = directory.join("assembly.S");
    fs::write(&source, "\t.text\n\t.globl\tlabel\nlabel:\n")
        .expect("the build directory can be written");
    let (include, folder) = (format!("-I{}", header_directory().display()), with_folder());
    for flags in [&WITH_HEADER[..], &[folder.as_str()]] {
        let mut command = compiler(Standard::c("c17"));
        command.arg(&include).args(flags).arg("-I").arg(&library().include);
        command.arg("-c").arg(&source).arg("-o").arg(directory.join("assembly.o"));
        process::output_of(&mut command);
    }
}

/// POSIX calls nothing of a plug-in that has deleted its keys; nor does the header.
#[test]
fn a_plugin_that_has_deleted_its_keys_is_unloaded_and_nothing_of_it_is_called() {
    if TARGET != HOST {
        return; // it needs an emulator
    }
    let directory = directory_of("plugin");
    let sources = source_root().join("tests/migrating/plugins");
    let (include, folder) = (format!("-I{}", header_directory().display()), with_folder());
    let (plugin, host) = (directory.join("plugin.so"), directory.join("host"));
    let mut command = compiler(Standard::c("c11"));
    command.args([&include, &folder]).arg("-I").arg(&library().include);
    command.args(["-shared", "-fPIC"]).arg(sources.join("plugin.c")).arg("-o").arg(&plugin);
    command.arg(&library().shared);
    command.arg(format!("-Wl,-rpath,{}", library().run_time_directory.display()));
    process::output_of(&mut command);
    let mut command = compiler(Standard::c("c11"));
    command.arg(sources.join("host.c")).arg("-o").arg(&host).args(["-pthread", "-ldl"]);
    process::output_of(&mut command);
    let mut command = Command::new(&host);
    command.arg(&plugin).env_remove("LD_LIBRARY_PATH");
    process::run(&mut command, &host.with_extension("log"), PATIENCE)
        .unwrap_or_else(|message| panic!("{message}"));
}

#[test]
fn every_program_has_its_test() {
    let files = fs::read_dir(source_root().join("tests/migrating")).expect("the folder is there");
    let programs: BTreeSet<String> = files
        .map(|file| file.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned())
        .collect();
    let tests = SAME.iter().chain(&ONLY_OURS).map(|&name| name.to_owned()).collect();
    assert_eq!(programs, tests, "tests/migrating/*.c on the left, the lists here on the right");
}
