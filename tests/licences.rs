// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every source file says its licence, in a line that tools for licences read.
//!
//! `THREADLOCALMAP_WRITE_SPDX=1 cargo test --test licences` adds the line where it is missing: as
//! the first line, or as the second one of a script.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const LICENCE: &str = "SPDX-License-Identifier: MIT OR Apache-2.0";
/// How far down it may be: some files begin with a title.
const TOP: usize = 6;

/// What stands around a comment in a file of this name; none: it is no source.
fn comment(name: &str) -> Option<(&'static str, &'static str)> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match (name, extension) {
        ("Makefile" | "CMakeLists.txt" | "meson.build", _) => Some(("# ", "")),
        (_, "rs" | "cpp" | "hpp" | "java" | "js") => Some(("// ", "")),
        (_, "c" | "h" | "S") => Some(("/* ", " */")),
        (_, "sh" | "py" | "cmake" | "awk") => Some(("# ", "")),
        _ => None,
    }
}

/// Every source below the root. Folders of builds, and hidden ones, are left out.
fn sources() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))]);
    while let Some(folder) = folders.pop() {
        // Cargo marks the folders that it builds in.
        if folder.join("CACHEDIR.TAG").exists() {
            continue;
        }
        for entry in fs::read_dir(&folder).expect("the repository can be read") {
            let path = entry.expect("the repository can be read").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            if name.starts_with('.') || ["target", "node_modules", "__pycache__"].contains(&&*name)
            {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if comment(&name).is_some() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text with the line, at its place.
fn with_line(name: &str, text: &str) -> String {
    let (start, end) = comment(name).expect("it is a source");
    let line = format!("{start}{LICENCE}{end}\n");
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!/") => format!("{first}\n{line}{rest}"),
        _ => format!("{line}{text}"),
    }
}

fn has_line(text: &str) -> bool {
    text.lines().take(TOP).any(|line| line.contains(LICENCE))
}

#[test]
fn every_source_has_a_licence_line() {
    let sources = sources();
    assert!(sources.len() > 400, "{} sources have been found", sources.len());
    let write = env::var_os("THREADLOCALMAP_WRITE_SPDX").is_some();
    let mut missing = Vec::new();
    for path in sources {
        let text = fs::read_to_string(&path).expect("a source is text");
        // An empty file, such as a marker of a Python package, has nothing to license.
        if text.is_empty() || has_line(&text) {
            continue;
        }
        if write {
            let name = path.file_name().expect("it has a name").to_string_lossy();
            fs::write(&path, with_line(&name, &text)).expect("a source can be written");
        } else {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            missing.push(path.strip_prefix(root).expect("below it").display().to_string());
        }
    }
    assert!(
        missing.is_empty(),
        "THREADLOCALMAP_WRITE_SPDX=1 adds the line to these:\n{}",
        missing.join("\n")
    );
}

#[test]
fn the_line_comes_first_or_after_the_line_that_names_an_interpreter() {
    for (name, text, expected) in [
        ("a.rs", "//! a\n", format!("// {LICENCE}\n//! a\n")),
        ("a.h", "#define A\n", format!("/* {LICENCE} */\n#define A\n")),
        ("a.sh", "#!/bin/sh\nls\n", format!("#!/bin/sh\n# {LICENCE}\nls\n")),
        ("a.rs", "#![no_std]\n", format!("// {LICENCE}\n#![no_std]\n")),
    ] {
        assert_eq!(with_line(name, text), expected);
        assert!(has_line(&expected) && !has_line(text));
    }
}
