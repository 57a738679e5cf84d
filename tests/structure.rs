// SPDX-License-Identifier: MIT OR Apache-2.0
//! The structure of `src`, held against what `docs/architecture.md` says of it:
//! floors, no circles, one place that destroys, and files of a size to read.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use support::source_root;

/// The floors, the lowest first: a file imports from its own floor and from
/// those below.
const FLOORS: &[&str] = &["sys", "error", "map", "key", "local", "thread", "capi"];

/// Stands for the library's words under a model checker, which every file of
/// `sys` knows; it is in no build of the library.
const MODELLED: &str = "sys/modelled.rs";

/// Every file of `src`, by its path there, without its tests.
fn sources() -> BTreeMap<String, String> {
    let root = source_root().join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            let name = path.strip_prefix(&root).expect("below src").display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != MODELLED {
                files.insert(name, without_tests(&fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    assert!(files.len() > 40, "src has been found: {files:?}");
    files
}

/// A source up to its module of tests, which stands last; and without its licence line, which is
/// in every file and nothing to read.
fn without_tests(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let text = &text[..end];
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("// SPDX-License-Identifier") => rest.to_owned(),
        _ => text.to_owned(),
    }
}

/// The `use` statements of a file, one line each, without its documentation.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join(" ");
    let statements = code.split(';').filter_map(|statement| {
        let start = statement.rfind(" use ").map_or(statement.find("use "), |at| Some(at + 1))?;
        Some(statement[start + 4..].split_whitespace().collect::<String>())
    });
    statements.flat_map(|statement| expand(&statement)).collect()
}

/// `a::{b,c::d}` as `a::b` and `a::c::d`.
fn expand(path: &str) -> Vec<String> {
    let Some(open) = path.find('{') else { return vec![path.to_owned()] };
    let (prefix, list) = (&path[..open], path[open + 1..].trim_end_matches('}'));
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        item.push(character);
    }
    items.push(item);
    let named = items.iter().filter(|item| !item.is_empty());
    named.flat_map(|item| expand(&format!("{prefix}{item}"))).collect()
}

/// The file that an import of `from` leads to, if it is one of `src`.
fn target(from: &str, import: &str, files: &BTreeMap<String, String>) -> Option<String> {
    let module: PathBuf = match from.strip_suffix("/mod.rs") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(from.trim_end_matches(".rs")),
    };
    let mut words = import.split("::").peekable();
    let mut at = match *words.peek()? {
        "crate" => PathBuf::new(),
        "self" => module,
        "super" => module.parent().map(Path::to_owned)?,
        _ => return None,
    };
    words.next();
    let mut found = None;
    for word in words {
        let file = |path: &Path| {
            let name = path.display().to_string();
            [format!("{name}.rs"), format!("{name}/mod.rs")]
                .into_iter()
                .find(|name| files.contains_key(name))
        };
        if word == "super" {
            at = at.parent().map(Path::to_owned)?;
            continue;
        }
        at.push(word);
        found = file(&at).or(found);
    }
    found
}

/// Which files each file imports.
fn arrows(files: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let leads = |(from, text): (&String, &String)| {
        let to = imports(text).iter().filter_map(|import| target(from, import, files)).collect();
        (from.clone(), to)
    };
    files.iter().map(leads).collect()
}

fn floor(file: &str) -> Option<usize> {
    let name = file.split('/').next()?.trim_end_matches(".rs");
    FLOORS.iter().position(|floor| *floor == name)
}

/// A way from a file back to it, if there is one.
fn circle(start: &str, arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in &arrows[way.last().expect("a way has a beginning")] {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == start {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

#[test]
fn no_file_imports_itself_round_about() {
    let arrows = arrows(&sources());
    let number: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(number > 150, "imports have been found: {number}");
    let circles: Vec<_> = arrows.keys().filter_map(|file| circle(file, &arrows)).collect();
    let said: Vec<_> = circles.iter().map(|circle| circle.join(" -> ")).collect();
    assert!(said.is_empty(), "files that import each other:\n{}", said.join("\n"));
}

#[test]
fn every_import_goes_to_the_same_floor_or_down() {
    for (from, to) in arrows(&sources()) {
        for to in to {
            let (Some(above), Some(below)) = (floor(&from), floor(&to)) else { continue };
            assert!(above >= below, "{from} imports {to}, which is on a higher floor");
        }
    }
}

#[test]
fn a_circle_would_be_found() {
    let file = |text: &str| text.to_owned();
    let files = BTreeMap::from([
        ("key/a.rs".to_owned(), file("use super::b::B;\n")),
        (
            "key/b.rs".to_owned(),
            file("/// use super::d::D;\nuse core::x;\nuse crate::key::{c::C, e};\n"),
        ),
        ("key/c.rs".to_owned(), file("use crate::{key::a::A, sys};\n")),
        ("key/d.rs".to_owned(), file("use super::a;\n")),
    ]);
    let arrows = arrows(&files);
    let found = circle("key/a.rs", &arrows).expect("a -> b -> c -> a");
    assert_eq!(found.join(" "), "key/a.rs key/b.rs key/c.rs key/a.rs");
    assert_eq!(circle("key/d.rs", &arrows), None);
}

#[test]
fn a_destroy_callback_is_called_from_one_place() {
    let mut places = Vec::new();
    for (name, text) in sources() {
        let calls = |line: &&str| line.contains("destroy(value, reason, callbacks.user)");
        places.extend(text.lines().filter(calls).map(|line| format!("{name}: {line}")));
    }
    assert_eq!(places.len(), 1, "{places:?}");
    assert!(places[0].starts_with("local/retire.rs"), "{places:?}");
    // The one who else would call one has it from the key's callbacks.
    for (name, text) in sources() {
        let named =
            text.matches("callbacks.destroy").count() + text.matches("callbacks().destroy").count();
        let calls = text.matches("Some(destroy)").count();
        assert!(
            calls == 0 || name == "local/retire.rs",
            "{name} takes a destroy callback, {named}"
        );
    }
}

/// Without the documentation of the exports, which is the text of the header and the man pages.
fn lines_of_code(name: &str, text: &str) -> usize {
    let is_manual = |line: &&str| name.starts_with("capi/") && line.trim_start().starts_with("///");
    text.lines().filter(|line| !is_manual(line)).count()
}

#[test]
fn the_sources_are_of_a_size_to_read() {
    let files = sources();
    let lines: usize = files.iter().map(|(name, text)| lines_of_code(name, text)).sum();
    assert!(lines <= 13_350, "src has {lines} lines without its tests and C's documentation");
    for (name, text) in files {
        let lines = text.lines().count();
        assert!(lines <= 600, "{name} has {lines} lines");
    }
}
