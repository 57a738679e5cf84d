// SPDX-License-Identifier: MIT OR Apache-2.0
//! The symbols that the dynamic linker sees in a shared library.

use std::env;
use std::path::Path;
use std::process::Command;

use super::process;

/// A symbol that a shared library defines or wants.
pub(crate) struct Symbol {
    pub(crate) name: String,
    /// Its version: `GLIBC_2.34`; empty: none.
    pub(crate) version: String,
    /// Nobody has to define it.
    pub(crate) weak: bool,
}

/// A tool of the binutils; another one if this variable names it.
pub(crate) fn tool(variable: &str, name: &str) -> Command {
    Command::new(env::var_os(variable).unwrap_or_else(|| name.into()))
}

/// The symbols of a library; `which`: nm's `--defined-only` or `--undefined-only`.
pub(crate) fn dynamic_symbols(library: &Path, which: &str) -> Vec<Symbol> {
    let mut command = tool("NM", "nm");
    command.args(["-D", "--format=posix", which]).arg(library);
    let output = process::output_of(&mut command);
    let symbol = |line: &str| {
        let mut words = line.split_whitespace();
        let (full, kind) = (words.next()?, words.next()?);
        let (name, version) = full.split_once('@').unwrap_or((full, ""));
        let version = version.trim_start_matches('@').to_owned();
        // Of kind A are the names of the versions themselves.
        (kind != "A").then(|| Symbol { name: name.to_owned(), version, weak: kind == "w" })
    };
    output.lines().filter_map(symbol).collect()
}
