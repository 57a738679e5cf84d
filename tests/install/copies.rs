// SPDX-License-Identifier: MIT OR Apache-2.0
//! The installed copies that the tests share, and how commands run beside them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::{process, scratch, source_root};

/// Far longer than any program takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A tree that was installed for one prefix, and lies at another.
pub(crate) struct Copy {
    pub(crate) prefix: PathBuf,
    pub(crate) libdir: PathBuf,
}

impl Copy {
    pub(crate) fn include(&self) -> PathBuf {
        self.prefix.join("include")
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.libdir.join("libthreadlocalmap.a")
    }

    pub(crate) fn shared(&self) -> PathBuf {
        self.libdir.join(format!("libthreadlocalmap.so.{}", env!("CARGO_PKG_VERSION")))
    }
}

/// The layout that `make install` has by itself.
pub(crate) fn plain() -> &'static Copy {
    static COPY: OnceLock<Copy> = OnceLock::new();
    COPY.get_or_init(|| moved("plain", "lib"))
}

/// The layout of a distribution with libraries for several machines.
pub(crate) fn multiarch() -> &'static Copy {
    static COPY: OnceLock<Copy> = OnceLock::new();
    COPY.get_or_init(|| moved("multiarch", &multiarch_libdir()))
}

/// As Debian has it; as others have it, where the compiler knows of no such folder.
pub(crate) fn multiarch_libdir() -> String {
    let name = process::try_output_of(compiler(false).arg("-print-multiarch")).unwrap_or_default();
    match name.trim() {
        "" => "lib64".to_owned(),
        name => format!("lib/{name}"),
    }
}

/// Both layouts.
pub(crate) fn layouts() -> [&'static Copy; 2] {
    [plain(), multiarch()]
}

/// The plain layout, in a folder with blanks, and with them in its own folders.
pub(crate) fn with_blanks() -> &'static Copy {
    static COPY: OnceLock<Copy> = OnceLock::new();
    COPY.get_or_init(|| moved("with blanks", "the libraries"))
}

/// Installs it staged, and moves it away from where it was installed for.
fn moved(name: &str, libdir: &str) -> Copy {
    let folder = fresh(name);
    let (staged, prefix) = (folder.join("staged"), folder.join("moved here"));
    let prefix = if name.contains(' ') { prefix } else { folder.join("moved") };
    let mut install = make(&["install", "PREFIX=/opt/tls"]);
    install.arg(format!("LIBDIR=/opt/tls/{libdir}")).arg(format!("DESTDIR={}", staged.display()));
    process::output_of(&mut install);
    fs::rename(staged.join("opt/tls"), &prefix).expect("it was installed there");
    Copy { libdir: prefix.join(libdir), prefix }
}

/// An empty directory of this name.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let folder = scratch("install").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("it is ours");
    }
    fs::create_dir_all(&folder).expect("the scratch directory can be written");
    folder
}

/// A command of a user who has set none of what changes where things are found.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for variable in [
        // Cargo's, for the Rust tests: it has a library of ours.
        "LD_LIBRARY_PATH",
        "PKG_CONFIG_PATH",
        "CMAKE_PREFIX_PATH",
        "CMAKE_GENERATOR",
        "DESTDIR",
        "PREFIX",
        "LIBDIR",
        "INCLUDEDIR",
        "MANDIR",
        "MAKEFLAGS",
        "MAKELEVEL",
        "CFLAGS",
        "CXXFLAGS",
        "LDFLAGS",
        "CARGO_BUILD_TARGET",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The compiler of such a user: `CC` or `CXX`, and nothing else.
pub(crate) fn compiler(cpp: bool) -> Command {
    let (variable, name) = if cpp { ("CXX", "c++") } else { ("CC", "cc") };
    let name = env::var(variable).unwrap_or_else(|_| name.to_owned());
    let mut words = name.split_whitespace();
    let mut command = command(words.next().expect("a compiler"));
    command.args(words);
    command
}

/// `make` in the source tree.
pub(crate) fn make(arguments: &[&str]) -> Command {
    let mut make = command("make");
    make.current_dir(source_root()).arg("--no-print-directory").args(arguments);
    make
}

/// Cargo's target directory of this run.
pub(crate) fn target_directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    directory.expect("it is a part of the target directory").to_owned()
}

pub(crate) fn hello(extension: &str) -> PathBuf {
    source_root().join("examples/hello").with_extension(extension)
}

/// Runs a program that was built; what it printed.
pub(crate) fn run(program: &Path, library_path: Option<&Path>) -> String {
    let mut run = command(program.to_str().expect("scratch paths are UTF-8"));
    if let Some(folder) = library_path {
        run.env("LD_LIBRARY_PATH", folder);
    }
    // Programs of one name may run in several folders at once, each with its log.
    let log = program.with_extension("log");
    process::run(&mut run, &log, PATIENCE).unwrap_or_else(|message| panic!("{message}"));
    fs::read_to_string(&log).expect("it was written")
}

/// Runs `examples/hello.c`, as `program`, and looks at what it says.
pub(crate) fn run_hello(program: &Path, library_path: Option<&Path>) {
    let output = run(program, library_path);
    assert!(output.ends_with("worker: the key now gives NULL\n"), "{program:?}: {output}");
}

/// Runs `examples/hello.cpp`, as `program`, and looks at what it says.
pub(crate) fn run_hello_cpp(program: &Path, library_path: Option<&Path>) {
    let output = run(program, library_path);
    assert!(output.ends_with("a task for ann\n"), "{program:?}: {output}");
}

/// What is in a file of a tree: its mode and its bytes, or where a link points to.
pub(crate) type Content = (u32, Vec<u8>);

/// The files and the links below a folder, by their paths there.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Content> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
            let path = entry.expect("it can be read").path();
            let data = path.symlink_metadata().expect("it is there");
            let name = path.strip_prefix(root).expect("below it").display().to_string();
            if data.is_dir() {
                folders.push(path);
            } else if data.is_symlink() {
                let target = fs::read_link(&path).expect("it is a link");
                found.insert(name, (0, target.to_str().expect("UTF-8").as_bytes().to_vec()));
            } else {
                let mode = data.permissions().mode() & 0o777;
                found.insert(name, (mode, fs::read(&path).expect("it can be read")));
            }
        }
    }
    found
}

/// The paths alone.
pub(crate) fn names(root: &Path) -> Vec<String> {
    tree(root).into_keys().collect()
}

/// Two trees have the same files, with the same content and modes.
pub(crate) fn assert_same_tree(one: &Path, other: &Path) {
    assert_eq!(names(one), names(other), "{one:?} on the left, {other:?} on the right");
    for (left, right) in tree(one).into_iter().zip(tree(other)) {
        assert!(left == right, "{}: in {one:?} it is not what is in {other:?}", left.0);
    }
}

/// A `PATH` on which every program is found but these.
pub(crate) fn path_without(name: &str, programs: &[&str]) -> PathBuf {
    let folder = fresh(name);
    for program in crate::support::tools::programs() {
        let file = program.file_name().expect("it is a file");
        if !programs.contains(&file.to_str().unwrap_or_default()) {
            // Of two of one name, the first is what the shell takes.
            let _ = std::os::unix::fs::symlink(&program, folder.join(file));
        }
    }
    folder
}
