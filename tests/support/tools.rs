// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tools that a check needs and a machine may not have.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Every program on the `PATH`, the first of a name as the shell takes it.
pub(crate) fn programs() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter_map(|folder| folder.read_dir().ok());
    let files = folders.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|file| executable(file)).collect()
}

fn executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Whether the shell finds this program.
pub(crate) fn have(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| executable(&folder.join(program)))
}

/// Whether all of these are here; if not, says what is skipped, and by which
/// Debian package it would run.
pub(crate) fn have_all(what: &str, tools: &[(&str, &str)]) -> bool {
    match tools.iter().find(|(program, _)| !have(program)) {
        Some((program, package)) => {
            skipped(&format!("{what} (no {program}; Debian: {package})"));
            false
        }
        None => true,
    }
}

/// A check that did not run. The summary of `make check` lists it: the file that
/// `SKIPS` names (scripts/lib.sh).
pub(crate) fn skipped(what: &str) {
    // Not `eprintln`: the test harness keeps that to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "   SKIPPED: {what}");
    if let Some(list) = env::var_os("SKIPS").filter(|list| !list.is_empty()) {
        let file = OpenOptions::new().append(true).create(true).open(&list);
        file.and_then(|mut file| writeln!(file, "{what}"))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", list.to_string_lossy()));
    }
}
