//! Builds what is measured: the library, as a release, and the C kernels, as
//! a user would compile them.
//!
//! The library is built by a cargo of its own (its release profile and lock
//! file, not ours) into a target folder of its own, so that neither cargo
//! waits for the other. Where its shared object ends up is read from cargo's
//! messages. The program links to it as any user does: `-L`, `-l`, and a run
//! path to the name that its SONAME gives. The kernels of `kernels/` are
//! compiled twice: into the program, and into a `-fPIC -shared` object that
//! the program opens when it starts. Both get `-O2` and nothing else: the `cc`
//! crate's own flags (section per function, `-fPIC` everywhere) would change
//! what is measured.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kernels in C++.
const CPP_KERNEL: &str = "get_cpp.cpp";

const KERNELS: [&str; 6] = ["get.c", "get_exported.c", "change.c", "tasks.c", "peers.c", "table.c"];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let root = here.parent().expect("benches has a parent").to_path_buf();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    for changed in ["build.rs", "kernels"] {
        println!("cargo:rerun-if-changed={}", here.join(changed).display());
    }
    for changed in ["src", "include", "bindings/cpp/include", "Cargo.toml", "build.rs"] {
        println!("cargo:rerun-if-changed={}", root.join(changed).display());
    }

    let libraries = out.join("lib");
    install(&build_library(&root, &out.join("library")), &libraries);

    let include = root.join("include");
    compile_for_program(&here, &include);
    let object = link_object(&here, &include, &libraries, &out);

    println!("cargo:rustc-link-search=native={}", libraries.display());
    println!("cargo:rustc-link-lib=dylib=threadlocalmap");
    println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{}", libraries.display());
    println!("cargo:rustc-env=BENCH_OBJECT={}", object.display());
    println!("cargo:rustc-env=BENCH_COMPILER={}", compiler_version());
}

/// Builds the library as `make` does and returns the shared library's path.
fn build_library(root: &Path, target: &Path) -> PathBuf {
    let cargo = env::var_os("CARGO").expect("set by cargo");
    let built = Command::new(cargo)
        .args(["rustc", "--release", "--lib", "--crate-type", "cdylib,staticlib"])
        .args(["--message-format=json", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(built.status.success(), "the library did not build");
    let messages = String::from_utf8(built.stdout).expect("cargo prints UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| {
            message["reason"] == "compiler-artifact"
                && message["target"]["name"] == "threadlocalmap"
        })
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| path.extension().is_some_and(|extension| extension == "so"))
        .expect("the library has a shared object among its artefacts")
}

/// The two names of an installed shared library: the SONAME, for the loader,
/// and the plain name, for the linker.
fn install(library: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("OUT_DIR is writable");
    let run_time = folder.join("libthreadlocalmap.so.0");
    let link_time = folder.join("libthreadlocalmap.so");
    let _ = fs::remove_file(&link_time);
    // Removed first: a benchmark that still runs keeps the old file mapped.
    let _ = fs::remove_file(&run_time);
    fs::copy(library, &run_time).expect("the library can be copied");
    std::os::unix::fs::symlink("libthreadlocalmap.so.0", &link_time).expect("a link can be made");
}

fn user_flags(include: &Path, place: &str) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .no_default_flags(true)
        .flag("-O2")
        .flag("-g")
        .flag("-Wall")
        .flag("-Wextra")
        .include(include)
        .define("BENCH_PLACE", place);
    build
}

fn compile_for_program(here: &Path, include: &Path) {
    let mut build = user_flags(include, "program");
    for name in KERNELS {
        build.file(here.join("kernels").join(name));
    }
    build.file(here.join("kernels/library.c"));
    build.compile("kernels");
    let mut build = user_flags_cpp(here, include, "program");
    build.file(here.join("kernels").join(CPP_KERNEL));
    build.compile("kernels_cpp");
}

fn user_flags_cpp(here: &Path, include: &Path, place: &str) -> cc::Build {
    let mut build = user_flags(include, place);
    build.cpp(true).std("c++17").include(here.join("../bindings/cpp/include"));
    build
}

fn link_object(here: &Path, include: &Path, libraries: &Path, out: &Path) -> PathBuf {
    let object = out.join("kernels.so");
    let cpp = out.join("kernels_cpp.o");
    let mut command = user_flags_cpp(here, include, "object").get_compiler().to_command();
    command.args(["-fPIC", "-c"]).arg(here.join("kernels").join(CPP_KERNEL)).arg("-o").arg(&cpp);
    let status = command.status().expect("the C++ compiler can be run");
    assert!(status.success(), "the kernels in C++ did not compile");
    let mut command = user_flags(include, "object").get_compiler().to_command();
    command.args(["-fPIC", "-shared", "-pthread"]);
    for name in KERNELS {
        command.arg(here.join("kernels").join(name));
    }
    command
        .arg(&cpp)
        .arg("-lstdc++")
        .arg("-o")
        .arg(&object)
        .arg("-L")
        .arg(libraries)
        .arg("-lthreadlocalmap");
    command.arg(format!("-Wl,-rpath,{}", libraries.display()));
    let status = command.status().expect("the C compiler can be run");
    assert!(status.success(), "the shared object with the kernels did not link");
    object
}

/// The compiler's first line about itself, for the report.
fn compiler_version() -> String {
    let compiler = cc::Build::new().get_compiler();
    let output = compiler.to_command().arg("--version").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_string()
}
