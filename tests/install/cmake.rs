// SPDX-License-Identifier: MIT OR Apache-2.0
//! CMake: the installed package, and the source tree in another project.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::copies::{
    self, assert_same_tree, command, fresh, layouts, make, path_without, run_hello, run_hello_cpp,
    target_directory, with_blanks,
};
use crate::support::tools::{have, have_all, skipped};
use crate::support::{process, scratch, source_root};

const CMAKE: (&str, &str) = ("cmake", "cmake");
const NINJA: (&str, &str) = ("ninja", "ninja-build");

/// The part of the version that decides which packages fit: `0.1`.
const SERIES: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// A way to configure: where the project is, where it is built, and its settings.
fn configure(project: &Path, build: &Path, generator: &str, settings: &[String]) -> Command {
    let mut cmake = command("cmake");
    cmake.arg("-S").arg(project).arg("-B").arg(build).args(["-G", generator]);
    cmake.args(settings.iter().map(|setting| format!("-D{setting}")));
    cmake
}

fn consumer(name: &str) -> PathBuf {
    source_root().join("tests/install").join(name)
}

fn set(name: &str, value: &Path) -> String {
    format!("{name}={}", value.display())
}

/// Makes a project in C of these lines.
fn project(folder: &Path, lines: &str) -> PathBuf {
    let project = folder.join("project");
    fs::create_dir(&project).expect("the scratch directory is ours");
    let text = format!("cmake_minimum_required(VERSION 3.15)\nproject(p C)\n{lines}");
    fs::write(project.join("CMakeLists.txt"), text).expect("the scratch directory is ours");
    project
}

fn build(folder: &Path, options: &[&str]) {
    process::output_of(command("cmake").arg("--build").arg(folder).args(options));
}

/// Runs the programs of `tests/install/programs.cmake`.
fn run_programs(folder: &Path) {
    run_hello(&folder.join("shared"), None);
    run_hello(&folder.join("static"), None);
    run_hello_cpp(&folder.join("cpp"), None);
    let needed = |program: &str| dynamic_section(&folder.join(program));
    assert!(needed("shared").contains("[libthreadlocalmap.so.0]"), "{}", needed("shared"));
    assert!(!needed("static").contains("libthreadlocalmap"), "{}", needed("static"));
    // What has the archive inside must stay loaded; a program is never unloaded.
    for plugin in ["libplugin.so", "libouter.so"] {
        assert!(needed(plugin).contains("NODELETE"), "{plugin}: {}", needed(plugin));
    }
    assert!(!needed("static").contains("NODELETE"), "{}", needed("static"));
}

fn dynamic_section(file: &Path) -> String {
    process::output_of(command("readelf").args(["--dynamic", "--wide"]).arg(file))
}

// ---- The installed package ----------------------------------------------------------

fn find_and_build(found_by: String, folder: &Path, generator: &str) {
    let settings = [found_by, set("SOURCES", source_root()), format!("SERIES={SERIES}")];
    process::output_of(&mut configure(&consumer("cmake"), folder, generator, &settings));
    build(folder, &[]);
    run_programs(folder);
    run_hello(&folder.join("part/part"), None);
}

#[test]
fn cmake_finds_the_package_in_two_layouts_and_its_targets_work() {
    if have_all("find_package of CMake", &[CMAKE]) {
        for (copy, name) in layouts().into_iter().zip(["cmake-plain", "cmake-multiarch"]) {
            let found_by = set("CMAKE_PREFIX_PATH", &copy.prefix);
            find_and_build(found_by, &fresh(name), "Unix Makefiles");
        }
    }
}

#[test]
fn cmake_finds_the_package_in_folders_with_blanks() {
    if have_all("find_package of CMake with Ninja", &[CMAKE, NINJA]) {
        // In a folder that CMake does not look into by itself.
        let found_by = set("CMAKE_PREFIX_PATH", &with_blanks().libdir.join("cmake"));
        find_and_build(found_by, &fresh("cmake with blanks"), "Ninja");
    }
}

/// A distribution has the archive in a package of its own, or in none.
#[test]
fn cmake_finds_the_package_without_the_archive_unless_that_is_asked_for() {
    if !have_all("find_package of CMake", &[CMAKE]) {
        return;
    }
    let folder = fresh("cmake-no-archive");
    let mut copy = command("cp");
    process::output_of(copy.arg("-a").arg(&copies::plain().prefix).arg(folder.join("prefix")));
    fs::remove_file(folder.join("prefix/lib/libthreadlocalmap.a")).expect("it was copied");
    let lines = "find_package(threadlocalmap REQUIRED COMPONENTS shared cpp)\n\
        if(TARGET threadlocalmap::threadlocalmap_static)\n message(FATAL_ERROR there)\nendif()\n\
        find_package(threadlocalmap REQUIRED COMPONENTS static)\n";
    let project = project(&folder, lines);
    let settings = [set("CMAKE_PREFIX_PATH", &folder.join("prefix"))];
    let mut cmake = configure(&project, &folder.join("build"), "Unix Makefiles", &settings);
    let message = process::try_output_of(&mut cmake).expect_err("there is no archive");
    assert!(message.contains("has no component static"), "{message}");
}

// ---- The source tree ------------------------------------------------------------------

/// The settings of a project that has our tree in it.
fn with_sources(sources: &Path, how: &str, target: &Path) -> Vec<String> {
    vec![
        set("SOURCES", sources),
        format!("HOW={how}"),
        // Not to build for each test what is built already.
        set("THREADLOCALMAP_CARGO_TARGET_DIR", target),
    ]
}

#[test]
fn cmake_builds_the_source_tree_as_a_subdirectory_in_cargos_dev_profile() {
    if !have_all("add_subdirectory of CMake with Ninja", &[CMAKE, NINJA]) {
        return;
    }
    let folder = fresh("cmake-subdirectory");
    let mut settings = with_sources(source_root(), "subdirectory", &scratch("install-dev"));
    settings.extend(["CMAKE_BUILD_TYPE=Debug".to_owned(), "BUILD_SHARED_LIBS=OFF".to_owned()]);
    let project = consumer("cmake-source");
    process::output_of(&mut configure(&project, &folder, "Ninja", &settings));
    build(&folder, &[]);
    run_programs(&folder);
    run_hello(&folder.join("either"), None);
    let either = dynamic_section(&folder.join("either"));
    assert!(!either.contains("libthreadlocalmap"), "not the static library: {either}");
    // The profile `dev` has debug information, and more objects than one.
    let mut ar = command("ar");
    let objects =
        process::output_of(ar.arg("t").arg(folder.join("threadlocalmap/dist/libthreadlocalmap.a")));
    assert!(objects.lines().count() > 1, "not the profile dev: {objects}");
    // Nothing is done again for nothing.
    let again = process::output_of(command("cmake").arg("--build").arg(&folder));
    assert!(again.contains("no work to do"), "{again}");
}

/// In folders with blanks, with Makefiles, and with no CMAKE_BUILD_TYPE.
#[test]
fn cmake_builds_the_source_tree_by_fetch_content_for_release() {
    if !have_all("FetchContent of CMake", &[CMAKE]) {
        return;
    }
    let folder = fresh("cmake fetch content");
    let sources = folder.join("the sources");
    symlink(source_root(), &sources).expect("the scratch directory is ours");
    let settings = with_sources(&sources, "fetch", &target_directory());
    let build_folder = folder.join("a build");
    let project = consumer("cmake-source");
    process::output_of(&mut configure(&project, &build_folder, "Unix Makefiles", &settings));
    build(&build_folder, &[]);
    run_programs(&build_folder);
    run_hello(&build_folder.join("either"), None);
    let either = dynamic_section(&build_folder.join("either"));
    assert!(either.contains("[libthreadlocalmap.so.0]"), "not the shared library: {either}");
}

/// As where one part of a project finds the package, and another brings its sources along.
#[test]
fn cmake_takes_the_package_that_was_found_before_the_source_tree_was_added() {
    if !have_all("add_subdirectory of CMake", &[CMAKE]) {
        return;
    }
    let folder = fresh("cmake-found-and-added");
    let lines = "find_package(threadlocalmap REQUIRED)\n\
        add_subdirectory(\"${SOURCES}\" threadlocalmap)\n\
        add_executable(hello \"${SOURCES}/examples/hello.c\")\n\
        target_link_libraries(hello PRIVATE threadlocalmap::threadlocalmap)\n";
    let project = project(&folder, lines);
    let found_by = set("CMAKE_PREFIX_PATH", &copies::plain().prefix);
    let settings = [found_by, set("SOURCES", source_root())];
    let build_folder = folder.join("build");
    process::output_of(&mut configure(&project, &build_folder, "Unix Makefiles", &settings));
    build(&build_folder, &[]);
    run_hello(&build_folder.join("hello"), None);
}

#[test]
fn cmake_with_several_configurations_builds_the_one_that_is_asked_for() {
    if !have_all("Ninja Multi-Config of CMake", &[CMAKE, NINJA]) {
        return;
    }
    let folder = fresh("cmake-multi");
    let settings =
        with_sources(source_root(), "subdirectory", &scratch("install-dev").join("multi"));
    let project = consumer("cmake-source");
    process::output_of(&mut configure(&project, &folder, "Ninja Multi-Config", &settings));
    build(&folder, &["--config", "Debug", "--target", "shared"]);
    run_hello(&folder.join("Debug/shared"), None);
    let built: Vec<_> = folder.join("threadlocalmap/dist").read_dir().expect("built").collect();
    assert_eq!(built.len(), 1, "{built:?}");
}

#[test]
fn cmake_installs_what_make_installs() {
    if !have_all("cmake --install", &[CMAKE]) {
        return;
    }
    let folder = fresh("cmake-install");
    // The folders of the second lie outside its prefix.
    for (prefix, [libdir, includedir, mandir]) in [
        ("inside", ["inside/lib/machine", "inside/include/tls", "inside/share/man"]),
        ("outside/p", ["outside/lib", "outside/include", "outside/man"]),
    ] {
        let by_cmake = folder.join("by-cmake");
        let settings = [
            set("CMAKE_INSTALL_PREFIX", &by_cmake.join(prefix)),
            set("CMAKE_INSTALL_LIBDIR", &by_cmake.join(libdir)),
            set("CMAKE_INSTALL_INCLUDEDIR", &by_cmake.join(includedir)),
            set("CMAKE_INSTALL_MANDIR", &by_cmake.join(mandir)),
            set("THREADLOCALMAP_CARGO_TARGET_DIR", &target_directory()),
        ];
        let build_folder = folder.join("build");
        let makefiles = "Unix Makefiles";
        process::output_of(&mut configure(source_root(), &build_folder, makefiles, &settings));
        build(&build_folder, &[]);
        process::output_of(command("cmake").arg("--install").arg(&build_folder));
        let by_make = folder.join("by-make");
        let mut make = make(&["install"]);
        for (variable, place) in
            [("PREFIX", prefix), ("LIBDIR", libdir), ("INCLUDEDIR", includedir), ("MANDIR", mandir)]
        {
            make.arg(set(variable, &by_make.join(place)));
        }
        process::output_of(&mut make);
        assert_same_tree(&by_cmake, &by_make);
    }
}

// ---- Another machine, and no cargo ------------------------------------------------------

/// A rustc with aarch64's library: the one here, or the one that the step aarch64
/// of `make check` has unpacked.
fn rustc_for_aarch64() -> Option<PathBuf> {
    let unpacked = target_directory().join("aarch64/rustc");
    let own = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    [own, unpacked].into_iter().find(|rustc| {
        let mut ask = Command::new(rustc);
        ask.args(["--print", "target-libdir", "--target", "aarch64-unknown-linux-gnu"]);
        let Ok(folder) = process::try_output_of(&mut ask) else { return false };
        Path::new(folder.trim()).read_dir().is_ok_and(|mut entries| entries.next().is_some())
    })
}

#[test]
fn cmake_cross_compiles_for_what_the_c_compiler_compiles_for() {
    let what = "cross compiling with CMake";
    let tools = [
        CMAKE,
        NINJA,
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
    ];
    if !have_all(what, &tools) {
        return;
    }
    let Some(rustc) = rustc_for_aarch64() else {
        skipped(&format!(
            "{what} (no Rust for aarch64: rustup target add aarch64-unknown-linux-gnu)"
        ));
        return;
    };
    let folder = fresh("cmake-cross");
    let toolchain = folder.join("toolchain.cmake");
    let text = "set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR aarch64)\n\
        set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)\nset(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)\n";
    fs::write(&toolchain, text).expect("the scratch directory is ours");
    let mut settings =
        with_sources(source_root(), "subdirectory", &scratch("install-dev").join("cross"));
    settings.extend(["CMAKE_BUILD_TYPE=Debug".to_owned(), set("CMAKE_TOOLCHAIN_FILE", &toolchain)]);
    let build_folder = folder.join("build");
    process::output_of(&mut configure(
        &consumer("cmake-source"),
        &build_folder,
        "Ninja",
        &settings,
    ));
    let mut cmake = command("cmake");
    process::output_of(cmake.arg("--build").arg(&build_folder).env("RUSTC", rustc));
    let header = process::output_of(
        command("readelf").arg("--file-header").arg(build_folder.join("shared")),
    );
    assert!(header.contains("AArch64"), "{header}");
    if have("qemu-aarch64") {
        let mut qemu = command("qemu-aarch64");
        qemu.args(["-L", "/usr/aarch64-linux-gnu"]).arg(build_folder.join("static"));
        let output = process::output_of(&mut qemu);
        assert!(output.ends_with("worker: the key now gives NULL\n"), "{output}");
    }
}

#[test]
fn cmake_says_what_to_install_when_there_is_no_cargo() {
    if !have_all("CMake without cargo", &[CMAKE]) {
        return;
    }
    let folder = fresh("cmake-no-cargo");
    // CMake would look in folders of the system, too, and in those of rustup.
    let settings = ["CMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF".to_owned()];
    let mut cmake = configure(source_root(), &folder.join("build"), "Unix Makefiles", &settings);
    cmake.env("PATH", path_without("cmake-path", &["cargo"]));
    cmake.env("HOME", &folder).env_remove("CARGO_HOME");
    let message = process::try_output_of(&mut cmake).expect_err("there is no cargo");
    assert!(message.contains("apt-get install cargo"), "{message}");
}
