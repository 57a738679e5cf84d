// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the library, as a release, and the C kernels, as a user would compile
//! them.
//!
//! A separate cargo builds the library, with the library's release profile and lock
//! file, into a separate target folder, so that neither cargo waits for the other.
//! The messages of cargo say where the shared object is. The program links to it as
//! any program does: `-L`, `-l`, and a run path to the file that has the SONAME. The kernels of `kernels/` are
//! compiled twice: into the program, and into a `-fPIC -shared` object that
//! the program opens when it starts. Both are compiled with `-O2` and no other
//! optimisation option: the default flags of the crate `cc` (a section for each
//! function, `-fPIC` everywhere) would change the results.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kernels in C++.
const CPP_KERNEL: &str = "get_cpp.cpp";

const KERNELS: [&str; 6] = ["get.c", "get_exported.c", "change.c", "tasks.c", "peers.c", "table.c"];

/// This library, and the peers that every machine has: symbol and file.
const ALWAYS: [(&str, &str); 6] = [
    ("program_peer_ours", "ours.c"),
    ("exported_peer_ours", "ours_exported.c"),
    ("program_peer_ours_cpp", "ours_cpp.cpp"),
    ("program_peer_raw", "raw.c"),
    ("program_peer_pthread", "pthread.c"),
    ("program_peer_c11", "c11.c"),
];

/// A peer that is measured if it is installed.
struct Optional {
    name: &'static str,
    package: &'static str,
    /// The names for pkg-config; the first that is installed is used.
    modules: &'static [&'static str],
    /// Without a name for pkg-config: a header and a library.
    header: &'static str,
    library: &'static str,
    /// Symbols and files.
    tables: &'static [(&'static str, &'static str)],
}

const OPTIONAL: [Optional; 4] = [
    Optional {
        name: "boost::thread_specific_ptr",
        package: "libboost-thread-dev",
        modules: &[],
        header: "boost/thread/tss.hpp",
        library: "boost_thread",
        tables: &[("program_peer_boost", "boost.cpp")],
    },
    Optional {
        name: "enumerable_thread_specific of oneTBB",
        package: "libtbb-dev",
        modules: &[],
        header: "tbb/enumerable_thread_specific.h",
        library: "tbb",
        tables: &[
            ("tbb_peer_tbb", "tbb.cpp"),
            ("tbb_key_peer_tbb", "tbb_key.cpp"),
            ("tbb_malloc_peer_tbb", "tbb_malloc.cpp"),
        ],
    },
    Optional {
        name: "GPrivate of GLib",
        package: "libglib2.0-dev",
        modules: &["glib-2.0"],
        header: "",
        library: "",
        tables: &[("program_peer_glib", "glib.c")],
    },
    Optional {
        name: "QThreadStorage of Qt",
        package: "qt6-base-dev (or qtbase5-dev)",
        modules: &["Qt6Core", "Qt5Core"],
        header: "",
        library: "",
        tables: &[("program_peer_qt", "qt.cpp")],
    },
];

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
    compile_peers(&here, &include, &out);
    let object = link_object(&here, &include, &libraries, &out);

    println!("cargo:rustc-link-search=native={}", libraries.display());
    println!("cargo:rustc-link-lib=dylib=threadlocalmap");
    println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{}", libraries.display());
    println!("cargo:rustc-env=BENCH_OBJECT={}", object.display());
    println!("cargo:rustc-env=BENCH_COMPILER={}", compiler_version());
    println!("cargo:rustc-env=BENCH_RUSTC={}", rustc_version());
    println!("cargo:rustc-env=BENCH_THREAD_LOCAL={}", locked_version(&here, "thread_local"));
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
    // Removed first, because a benchmark that still runs has the old file mapped.
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

/// Compiles the peers that are installed, and writes the list of their tables.
fn compile_peers(here: &Path, include: &Path, out: &Path) {
    // scripts/bench.sh sets it to the installed headers, so a change of these runs this again.
    println!("cargo:rerun-if-env-changed=BENCH_PEERS");
    let mut symbols = Vec::new();
    for (symbol, file) in ALWAYS {
        compile_peer(here, include, file, &[]);
        symbols.push(symbol);
    }
    let mut missing = Vec::new();
    for peer in &OPTIONAL {
        let Some((flags, links)) = peer.look() else {
            missing.push(format!("{}={}", peer.name, peer.package));
            continue;
        };
        for (symbol, file) in peer.tables {
            compile_peer(here, include, file, &flags);
            symbols.push(symbol);
        }
        // After the kernels, because the linker looks only for symbols that are still missing.
        for link in links {
            println!("cargo:rustc-link-arg-bins={link}");
        }
    }
    println!("cargo:rustc-env=BENCH_MISSING={}", missing.join(";"));
    let declared = symbols.iter().map(|name| format!("extern const struct bench_peer {name};\n"));
    let listed = symbols.iter().map(|name| format!("    &{name},\n"));
    let list = format!(
        "#include \"peers/peer.h\"\n\n{}\nextern const struct bench_peer *const bench_peers[];\n\
         const struct bench_peer *const bench_peers[] = {{\n{}    NULL}};\n",
        declared.collect::<String>(),
        listed.collect::<String>()
    );
    let file = out.join("peers.c");
    fs::write(&file, list).expect("OUT_DIR is writable");
    let mut build = user_flags(include, "program");
    build.include(here.join("kernels")).file(file).compile("peer_list");
}

fn compile_peer(here: &Path, include: &Path, file: &str, flags: &[String]) {
    let mut build = match file.ends_with(".cpp") {
        true => user_flags_cpp(here, include, "program"),
        false => user_flags(include, "program"),
    };
    for flag in flags {
        build.flag(flag);
    }
    build.file(here.join("kernels/peers").join(file)).compile(&format!("peer_{file}"));
}

impl Optional {
    /// The flags to compile and to link with; `None` if the peer is not installed.
    fn look(&self) -> Option<(Vec<String>, Vec<String>)> {
        if self.modules.is_empty() {
            let here = has_header(self.header) && has_library(self.library);
            return here.then(|| (Vec::new(), vec![format!("-l{}", self.library)]));
        }
        self.modules.iter().find_map(|module| {
            Some((pkg_config(module, "--cflags")?, pkg_config(module, "--libs")?))
        })
    }
}

fn pkg_config(module: &str, what: &str) -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args([what, module]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.split_whitespace().map(str::to_string).collect())
}

fn has_header(header: &str) -> bool {
    let mut command = cc::Build::new().cpp(true).get_compiler().to_command();
    let child = command
        .args(["-x", "c++", "-E", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    let question = format!("#if !__has_include(<{header}>)\n#error\n#endif\n");
    let asked = child.stdin.take().expect("a pipe").write_all(question.as_bytes());
    asked.is_ok() && child.wait().is_ok_and(|status| status.success())
}

/// The compiler prints a path if it finds the file, and otherwise the name.
fn has_library(name: &str) -> bool {
    let file = format!("lib{name}.so");
    let mut command = cc::Build::new().get_compiler().to_command();
    let output = command.arg(format!("-print-file-name={file}")).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() != file)
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
        .arg(here.join("kernels/peers/ours.c"))
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

/// The first line of the compiler's version, for the report.
fn compiler_version() -> String {
    let compiler = cc::Build::new().get_compiler();
    let output = compiler.to_command().arg("--version").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_string()
}

fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").expect("set by cargo");
    let output = Command::new(rustc).arg("--version").output().expect("cargo has just used it");
    String::from_utf8_lossy(&output.stdout).split(' ').nth(1).unwrap_or("unknown").to_string()
}

/// The version of a crate, from the lock file.
fn locked_version(here: &Path, name: &str) -> String {
    let path = here.join("Cargo.lock");
    println!("cargo:rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path).expect("the lock file can be read");
    let named = format!("name = \"{name}\"");
    let mut lines = text.lines().skip_while(|line| *line != named);
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = "));
    version.expect("the crate is in the lock file").trim_matches('"').to_string()
}
