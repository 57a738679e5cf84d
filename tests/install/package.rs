// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is installed, and programs that are built with `cc`, with and without
//! pkg-config.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::copies::{
    self, command, compiler, fresh, hello, layouts, make, plain, run, run_hello, run_hello_cpp,
    Copy,
};
use crate::support::library::SONAME;
use crate::support::tools::have_all;
use crate::support::{process, source_root};

/// Most bytes of the installed archive.
const MOST_ARCHIVE_BYTES: u64 = 320_000;

// ---- The files --------------------------------------------------------------------

/// The names of the files of `folder` with this extension, in `place`.
fn sources(folder: &str, extension: &str, place: &str) -> Vec<String> {
    let Ok(entries) = source_root().join(folder).read_dir() else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let chosen = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    let name = |path: PathBuf| path.file_name().expect("a file").to_string_lossy().into_owned();
    chosen.map(|path| format!("{place}/{}", name(path))).collect()
}

/// Everything that an installation has, by its path below the prefix.
pub(crate) fn promised(libdir: &str) -> Vec<String> {
    let mut files = [
        sources("include", "h", "include"),
        sources("bindings/c/include", "h", "include"),
        sources("bindings/c/include/threadlocalmap_pthread", "h", "include/threadlocalmap_pthread"),
        sources("bindings/cpp/include", "hpp", "include"),
        sources("bindings/cpp/include/threadlocalmap", "hpp", "include/threadlocalmap"),
        sources("docs/man/man3", "3", "share/man/man3"),
        sources("docs/man/man7", "7", "share/man/man7"),
    ]
    .concat();
    assert!(files.contains(&"include/threadlocalmap.h".to_owned()), "{files:?}");
    for name in [
        "libthreadlocalmap.a",
        "libthreadlocalmap.so",
        SONAME,
        concat!("libthreadlocalmap.so.", env!("CARGO_PKG_VERSION")),
        "pkgconfig/threadlocalmap.pc",
        "cmake/threadlocalmap/threadlocalmapConfig.cmake",
        "cmake/threadlocalmap/threadlocalmapConfigVersion.cmake",
    ] {
        files.push(format!("{libdir}/{name}"));
    }
    files.sort();
    files
}

#[test]
fn make_installs_the_files_that_are_promised_in_two_layouts() {
    for (copy, libdir) in layouts().into_iter().zip(["lib", &copies::multiarch_libdir()]) {
        assert_eq!(copies::names(&copy.prefix), promised(libdir));
        let tree = copies::tree(&copy.prefix);
        for (name, (mode, content)) in &tree {
            let library = name.ends_with(env!("CARGO_PKG_VERSION"));
            assert!(*mode == 0 || *mode == if library { 0o755 } else { 0o644 }, "{name}: {mode:o}");
            assert!(!content.is_empty(), "{name} is empty");
        }
        // A chain, as ldconfig makes it: the linker's name, the SONAME, the file.
        let link = |name: &str| String::from_utf8(tree[&format!("{libdir}/{name}")].1.clone());
        assert_eq!(link("libthreadlocalmap.so").as_deref(), Ok(SONAME));
        let file = concat!("libthreadlocalmap.so.", env!("CARGO_PKG_VERSION"));
        assert_eq!(link(SONAME).as_deref(), Ok(file));
    }
}

#[test]
fn no_installed_text_has_a_path_of_this_machine_or_of_the_prefix() {
    for (name, (_, content)) in copies::tree(&plain().prefix) {
        let text = String::from_utf8_lossy(&content);
        let ours = source_root().to_str().expect("UTF-8");
        // In the libraries, cargo's paths of source files would be in messages of panics.
        let binary = name.contains("libthreadlocalmap.");
        assert!(binary || !text.contains("/opt/tls"), "{name} has the prefix in it");
        assert!(!text.contains(ours), "{name} has {ours} in it");
    }
}

#[test]
fn the_installed_library_needs_the_c_library_alone() {
    let mut ldd = command("ldd");
    let needed = process::output_of(ldd.arg(plain().shared()));
    let names: Vec<&str> =
        needed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let others: Vec<&&str> = names
        .iter()
        .filter(|name| !name.starts_with("linux-vdso") && !name.contains("ld-"))
        .collect();
    assert_eq!(others.len(), 1, "{needed}");
    assert!(others[0].contains("libc."), "{needed}");
}

#[test]
fn the_archive_is_one_small_object() {
    let archive = plain().archive();
    let mut ar = command("ar");
    assert_eq!(process::output_of(ar.arg("t").arg(&archive)), "threadlocalmap.o\n");
    let bytes = archive.metadata().expect("it is installed").len();
    assert!(bytes <= MOST_ARCHIVE_BYTES, "{bytes} bytes");
}

// ---- Programs, by hand --------------------------------------------------------------

fn build(mut compiler: Command, program: &Path) {
    process::output_of(compiler.arg("-o").arg(program));
}

/// As it stands in the first line of a tutorial: `cc program.c libthreadlocalmap.a`.
#[test]
fn a_program_links_the_archive_with_no_flag_static_or_position_independent() {
    let folder = fresh("archive");
    for (name, flags) in
        [("plain", &[][..]), ("static", &["-static"]), ("static-pie", &["-static-pie", "-fPIE"])]
    {
        let mut cc = compiler(false);
        cc.arg("-I").arg(plain().include()).arg(source_root().join("tests/linking/alone.c"));
        cc.arg(plain().archive()).args(flags);
        build(cc, &folder.join(name));
        run(&folder.join(name), None);
    }
}

#[test]
fn a_program_is_linked_by_hand_with_an_rpath() {
    let program = fresh("by-hand").join("hello");
    let mut cc = compiler(false);
    cc.arg(hello("c")).arg("-I").arg(plain().include()).arg("-L").arg(&plain().libdir);
    cc.arg("-lthreadlocalmap").arg(format!("-Wl,-rpath,{}", plain().libdir.display()));
    build(cc, &program);
    run_hello(&program, None);
}

// ---- Programs, with pkg-config ------------------------------------------------------

fn with_pkg_config() -> bool {
    have_all("the pkg-config file", &[("pkg-config", "pkg-config")])
}

/// What pkg-config prints, as a shell splits it.
fn flags(copy: &Copy, options: &[&str]) -> Vec<String> {
    let mut pkg_config = command("pkg-config");
    pkg_config.env("PKG_CONFIG_PATH", copy.libdir.join("pkgconfig"));
    let output = process::output_of(pkg_config.args(options).arg("threadlocalmap"));
    output.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn pkg_config_gives_each_program_the_flags_it_needs() {
    if !with_pkg_config() {
        return;
    }
    for (copy, layout) in layouts().into_iter().zip(["plain", "multiarch"]) {
        let folder = fresh(&format!("pkg-config-{layout}"));
        let shared = flags(copy, &["--cflags", "--libs"]);
        let mut cc = compiler(false);
        cc.arg(hello("c")).args(&shared);
        build(cc, &folder.join("hello"));
        run_hello(&folder.join("hello"), Some(&copy.libdir));

        let mut cpp = compiler(true);
        cpp.arg("-std=c++17").arg(hello("cpp")).args(&shared).arg("-pthread");
        build(cpp, &folder.join("hello-cpp"));
        run_hello_cpp(&folder.join("hello-cpp"), Some(&copy.libdir));

        let mut cc = compiler(false);
        cc.arg("-static").arg(hello("c"));
        cc.args(flags(copy, &["--static", "--cflags", "--libs"]));
        build(cc, &folder.join("hello-static"));
        run_hello(&folder.join("hello-static"), None);
    }
}

/// PREFIX is not even there; and the folders can be moved, together.
#[test]
fn pkg_config_finds_folders_that_lie_outside_the_prefix() {
    if !with_pkg_config() {
        return;
    }
    let folder = fresh("outside-the-prefix");
    let (here, there) = (folder.join("here"), folder.join("deeper/than/before"));
    let mut install = make(&["install"]);
    install.arg(format!("PREFIX={}", folder.join("prefix").display()));
    for (variable, name) in [("LIBDIR", "lib"), ("INCLUDEDIR", "include"), ("MANDIR", "man")] {
        install.arg(format!("{variable}={}", here.join(name).display()));
    }
    process::output_of(&mut install);
    let program = folder.join("hello");
    let build_and_run = |prefix: &Path| {
        let copy = Copy { prefix: prefix.to_owned(), libdir: prefix.join("lib") };
        let mut cc = compiler(false);
        cc.arg(hello("c")).args(flags(&copy, &["--cflags", "--libs"]));
        build(cc, &program);
        run_hello(&program, Some(&copy.libdir));
    };
    build_and_run(&here);
    fs::create_dir_all(there.parent().expect("it has one")).expect("the scratch directory is ours");
    fs::rename(&here, &there).expect("the scratch directory is ours");
    build_and_run(&there);
}

/// The optional header, by its name and by its folder, with a program that needs
/// more keys than the system has.
#[test]
fn a_program_takes_the_header_in_place_of_pthreads_own() {
    if !with_pkg_config() {
        return;
    }
    let folder = fresh("pthread-header");
    let source = source_root().join("tests/migrating/many_keys.c");
    let include = flags(plain(), &["--variable=includedir"]).concat();
    let by_folder = format!("-I{include}/threadlocalmap_pthread");
    for (name, flag) in [
        ("by-name", &["-include", "threadlocalmap_pthread.h"][..]),
        ("by-folder", &[by_folder.as_str()]),
    ] {
        let mut cc = compiler(false);
        // Of the header's folder, the compiler needs to know nothing.
        let parts = if name == "by-folder" { &["--libs"][..] } else { &["--cflags", "--libs"] };
        cc.args(flag).arg(&source).args(flags(plain(), parts)).arg("-pthread");
        build(cc, &folder.join(name));
        run(&folder.join(name), Some(&plain().libdir));
    }
}

#[test]
fn pkg_config_names_our_library_and_no_others() {
    if !with_pkg_config() {
        return;
    }
    let library = |options: &[&str]| -> Vec<String> {
        flags(plain(), options).into_iter().filter(|flag| !flag.starts_with("-L")).collect()
    };
    assert_eq!(library(&["--libs"]), ["-lthreadlocalmap"]);
    // The first for glibc before 2.34, the second for plug-ins; elsewhere they add nothing.
    let private = ["-lthreadlocalmap", "-pthread", "-Wl,-z,nodelete"];
    assert_eq!(library(&["--libs", "--static"]), private);
    assert_eq!(flags(plain(), &["--print-requires", "--print-requires-private"]), [""; 0]);
    assert_eq!(flags(plain(), &["--modversion"]), [env!("CARGO_PKG_VERSION")]);
}

/// pkg-config says such a path with backslashes, which a shell reads by `eval`.
#[test]
fn pkg_config_says_paths_with_blanks_as_the_shell_reads_them() {
    if !with_pkg_config() {
        return;
    }
    let copy = copies::with_blanks();
    let program = fresh("pkg-config with blanks").join("hello");
    let mut shell = command("sh");
    shell.env("PKG_CONFIG_PATH", copy.libdir.join("pkgconfig"));
    shell.env("SOURCE", hello("c")).env("PROGRAM", &program).arg("-c").arg(
        r#"eval "${CC:-cc} \"\$SOURCE\" $(pkg-config --cflags --libs threadlocalmap) -o \"\$PROGRAM\"""#,
    );
    process::output_of(&mut shell);
    run_hello(&program, Some(&copy.libdir));
}
