// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs of the C suite: `tests/c/<chapter>/<name>.c`, or `.cpp`.
//!
//! A chapter is a heading of the header, such as "OTHER THREADS". What the
//! programs share is in `tests/c/support`, which is no chapter.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::source_root;

/// The folder of the headers that the programs share.
const SUPPORT: &str = "support";

/// The directory of the headers that the programs share.
pub(crate) fn include() -> PathBuf {
    source_root().join("tests/c").join(SUPPORT)
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).expect("tests/c is there");
    files.map(|file| file.expect("tests/c can be read").path()).collect()
}

fn text(name: Option<&OsStr>) -> String {
    name.expect("it has a name").to_string_lossy().into_owned()
}

/// The folders of `tests/c` that have programs.
pub(crate) fn chapters() -> Vec<String> {
    let folders = files_in(&source_root().join("tests/c"));
    let names = folders.iter().map(|folder| text(folder.file_name()));
    names.filter(|name| name != SUPPORT).collect()
}

/// The programs with this extension, by name. No two have the same name: it is
/// the name of a test.
pub(crate) fn programs(extension: &str) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for chapter in chapters() {
        for path in files_in(&source_root().join("tests/c").join(chapter)) {
            if path.extension().is_some_and(|other| other == extension) {
                let name = text(path.file_stem());
                assert!(found.insert(name, path.clone()).is_none(), "two of {}", path.display());
            }
        }
    }
    found
}
