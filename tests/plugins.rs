// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plugins: shared objects that are opened and closed while threads run.
//!
//! The sources are in `tests/plugins`. What they need of the library differs:
//! opened by itself, linked into a plugin, in two copies, on either kind of
//! thread-local storage; so each test builds its own objects and a program
//! that opens them, and runs that as a process of its own.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use support::compiler::{compile, compiler, Standard};
use support::library::{library, plain_library as built_plain, Library};
use support::{process, scratch, source_root, INITIAL_EXEC};

const C17: Standard = Standard::c("c17");
/// Far longer than any program takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The library on plain thread-local storage, whatever this test is built for.
fn plain_library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    if !INITIAL_EXEC {
        return library();
    }
    LIBRARY.get_or_init(built_plain)
}

/// The objects and programs of one test.
struct Workshop {
    directory: PathBuf,
}

/// What a program or a shared object is linked with.
enum With<'a> {
    /// The shared library.
    Shared(&'a Library),
    /// The static one; its functions stay inside.
    Static(&'a Library),
    /// The static one; its functions are for everybody that is loaded.
    StaticForAll(&'a Library),
    /// No library.
    Nothing,
}

impl With<'_> {
    fn add_to(&self, command: &mut Command) {
        match self {
            Self::Shared(library) => {
                let directory = library.run_time_directory.display();
                command.arg(&library.shared).arg(format!("-Wl,-rpath,{directory}"));
            }
            Self::Static(library) | Self::StaticForAll(library) => {
                command.arg(&library.archive);
            }
            Self::Nothing => {}
        }
        if matches!(self, Self::StaticForAll(_)) {
            command.arg("-rdynamic");
        }
        command.args(["-pthread", "-ldl"]);
    }
}

impl Workshop {
    fn new(name: &str) -> Self {
        let directory = scratch("plugins").join(name);
        fs::create_dir_all(&directory).expect("the build directory can be written");
        Self { directory }
    }

    /// Compiles `tests/plugins/<source>.c` and links it, with `flags` at both.
    fn build(&self, source: &str, name: &str, flags: &[&str], with: &With) -> PathBuf {
        let file = source_root().join("tests/plugins").join(source).with_extension("c");
        let object = self.directory.join(name).with_extension("o");
        let product = self.directory.join(name);
        compile(&file, C17, &library().include, flags, &object)
            .unwrap_or_else(|message| panic!("{message}"));
        let mut command = compiler(C17);
        command.arg(&object).args(flags).arg("-o").arg(&product);
        with.add_to(&mut command);
        process::output_of(&mut command);
        product
    }

    fn program(&self, source: &str, with: &With) -> PathBuf {
        self.build(source, source, &[], with)
    }

    fn plugin(&self, source: &str, with: &With) -> PathBuf {
        self.build(source, &format!("{source}.so"), &["-shared", "-fPIC"], with)
    }

    /// A shared object that has taken so many bytes of static storage.
    fn glutton(&self, number: usize, bytes: usize) -> PathBuf {
        let flags = ["-shared", "-fPIC", &format!("-DBYTES={bytes}")];
        self.build("glutton", &format!("glutton-{number}.so"), &flags, &With::Nothing)
    }

    fn run<'a>(&self, program: &Path, arguments: impl IntoIterator<Item = &'a Path>) {
        let mut command = Command::new(program);
        // Cargo's own, with libraries of other builds; these have an rpath.
        command.args(arguments).env_remove("LD_LIBRARY_PATH");
        let log = program.with_extension("log");
        process::run(&mut command, &log, PATIENCE).unwrap_or_else(|message| panic!("{message}"));
    }
}

/// The library by itself: `-z nodelete` keeps it.
#[test]
fn a_closed_library_stays_for_the_threads_that_used_it() {
    let workshop = Workshop::new("reopened");
    let program = workshop.program("reopen", &With::Nothing);
    workshop.run(&program, [&*library().shared]);
}

#[test]
fn a_closed_library_on_plain_storage_stays_as_well() {
    let workshop = Workshop::new("reopened-plain");
    let program = workshop.program("reopen", &With::Nothing);
    workshop.run(&program, [&*plain_library().shared]);
}

/// A plugin with the static library in it, linked as the header says.
#[test]
fn a_closed_plugin_with_a_copy_of_its_own_stays_for_the_threads_that_used_it() {
    let workshop = Workshop::new("carrier");
    let program = workshop.program("reopen", &With::Nothing);
    let flags = ["-shared", "-fPIC", "-Wl,-z,nodelete"];
    let plugin = workshop.build("carrier", "carrier.so", &flags, &With::Static(library()));
    workshop.run(&program, [&*plugin]);
}

#[test]
fn a_drained_plugin_is_unloaded_and_nobody_misses_it() {
    let workshop = Workshop::new("unload-shared");
    let program = workshop.program("unload", &With::Shared(library()));
    let plugin = workshop.plugin("plugin", &With::Shared(library()));
    workshop.run(&program, [&*plugin]);
}

/// The plugin has no library and uses the program's.
#[test]
fn a_plugin_of_a_static_program_is_unloaded_and_nobody_misses_it() {
    let workshop = Workshop::new("unload-static");
    let program = workshop.program("unload", &With::StaticForAll(library()));
    let plugin = workshop.plugin("plugin", &With::Nothing);
    workshop.run(&program, [&*plugin]);
}

#[test]
fn a_static_copy_in_the_program_and_a_shared_one_in_a_plugin_work_side_by_side() {
    let workshop = Workshop::new("apart");
    let program = workshop.program("two_copies", &With::Static(library()));
    let plugin = workshop.plugin("plugin", &With::Shared(library()));
    workshop.run(&program, [&*plugin, Path::new("apart")]);
}

#[test]
fn a_plugin_uses_the_copy_that_its_program_exports() {
    let workshop = Workshop::new("together");
    let program = workshop.program("two_copies", &With::StaticForAll(library()));
    let plugin = workshop.plugin("plugin", &With::Shared(library()));
    workshop.run(&program, [&*plugin, Path::new("together")]);
}

/// However the linker binds a plugin's calls, and whether the loader shows its
/// symbols to all or not: a part of one copy never works on the state of another.
#[test]
fn two_plugins_with_a_static_copy_each_keep_them_apart() {
    let workshop = Workshop::new("twins");
    let program = workshop.program("twins", &With::Nothing);
    for (kind, binding) in
        [("plain", ""), ("functions", "-Wl,-Bsymbolic-functions"), ("all", "-Wl,-Bsymbolic")]
    {
        let mut flags = vec!["-shared", "-fPIC", "-Wl,-z,nodelete"];
        flags.extend((!binding.is_empty()).then_some(binding));
        let [first, second] = ["first", "second"].map(|name| {
            let name = format!("twin-{kind}-{name}.so");
            workshop.build("twin", &name, &flags, &With::Static(library()))
        });
        for mode in ["local", "global"] {
            workshop.run(&program, [&*first, &second, Path::new(mode)]);
        }
    }
}

/// glibc keeps 1664 bytes for libraries that come late; there must be room for
/// others beside this one.
#[cfg(target_env = "gnu")]
#[test]
fn most_of_the_static_storage_may_be_taken_before_the_library_comes() {
    let workshop = Workshop::new("static-tls");
    let program = workshop.program("static_tls", &With::Nothing);
    let glutton = workshop.glutton(0, 1536);
    workshop.run(&program, [&*library().shared, Path::new("works"), &glutton]);
}

/// Where there is no room, loading fails, with words, and nothing else does.
#[cfg(target_env = "gnu")]
#[test]
fn without_static_storage_the_library_is_refused_and_works_on_plain_storage() {
    let workshop = Workshop::new("no-static-tls");
    let program = workshop.program("static_tls", &With::Nothing);
    let glutton = workshop.glutton(0, 1664);
    if INITIAL_EXEC {
        workshop.run(&program, [&*library().shared, Path::new("refused"), &glutton]);
    }
    workshop.run(&program, [&*plain_library().shared, Path::new("works"), &glutton]);
}

/// Thread-local storage that comes late and in pieces moves nobody else's.
#[test]
fn many_libraries_with_storage_of_their_own_may_come_first() {
    let workshop = Workshop::new("many-dynamic");
    let program = workshop.program("static_tls", &With::Nothing);
    let others: Vec<PathBuf> = (0..40).map(|number| workshop.glutton(number, 16)).collect();
    for library in [library(), plain_library()] {
        let first = [&*library.shared, Path::new("works")];
        workshop.run(&program, first.into_iter().chain(others.iter().map(PathBuf::as_path)));
    }
}

/// The loader's lock is held then; the library must not want it.
#[test]
fn a_plugins_constructor_may_wait_for_a_thread_that_uses_the_library() {
    for (name, library) in [("constructor", library()), ("constructor-plain", plain_library())] {
        let workshop = Workshop::new(name);
        let program = workshop.program("constructor", &With::Nothing);
        let plugin = workshop.plugin("starter", &With::Shared(library));
        workshop.run(&program, [&*plugin]);
    }
}
