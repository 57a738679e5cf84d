// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pages of this repository, and enough of Markdown to check them: fenced blocks
//! and their marks, prose, tables, links, and the anchors of headings.
//!
//! A *mark* is a comment on the line above a block: `<!-- examples/guide/keys.c -->`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A Markdown file.
#[derive(Debug)]
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of the page on which its text begins, from 1.
    pub(crate) line: usize,
    /// What its mark says; empty: it has none.
    pub(crate) mark: String,
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Every page below `root`. Folders of builds, and hidden ones, are left out, and so is `benches/src`:
/// it has parts of a page that is written elsewhere.
pub(crate) fn pages(root: &Path) -> Vec<Page> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        // Cargo marks the folders that it builds in.
        if folder.join("CACHEDIR.TAG").exists() {
            continue;
        }
        for entry in fs::read_dir(&folder).expect("the repository can be read") {
            let path = entry.expect("the repository can be read").path();
            let name = path.file_name().expect("it has a name").to_string_lossy();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            } else if path.is_dir() {
                if !path.ends_with("benches/src") {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(Page::read(root, path.strip_prefix(root).expect("below the root")));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl Page {
    /// The page of this path below `root`.
    pub(crate) fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(root.join(path));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text }
    }

    /// The lines that are in no fenced block, with their numbers from 1.
    pub(crate) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut inside = false;
        self.text.lines().enumerate().filter_map(move |(at, line)| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            (!inside && !fence).then_some((at + 1, line))
        })
    }

    /// Every fenced block.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut found: Vec<Block> = Vec::new();
        let (mut mark, mut inside) = (String::new(), false);
        for (at, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match fence {
                Some(_) if inside => inside = false,
                Some(language) => {
                    inside = true;
                    found.push(Block {
                        line: at + 2,
                        mark: std::mem::take(&mut mark),
                        language: language.to_owned(),
                        text: String::new(),
                    });
                }
                None if inside => {
                    let block = found.last_mut().expect("a block is open");
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                None => {
                    let comment = line.strip_prefix("<!-- ");
                    let comment = comment.and_then(|rest| rest.strip_suffix(" -->"));
                    mark = comment.unwrap_or_default().to_owned();
                }
            }
        }
        assert!(!inside, "{}: a fenced block is not closed", self.path.display());
        found
    }

    /// The text of the block with this mark.
    pub(crate) fn block(&self, mark: &str) -> String {
        let mut blocks = self.blocks().into_iter().filter(|block| block.mark == mark);
        let block = blocks.next();
        let block = block.unwrap_or_else(|| panic!("{}: no <!-- {mark} -->", self.path.display()));
        assert!(blocks.next().is_none(), "{}: two <!-- {mark} -->", self.path.display());
        block.text
    }

    /// The targets of all links and pictures, with their lines.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in self.prose() {
            let line = without_code(line);
            for (at, _) in line.match_indices("](") {
                let target = &line[at + 2..];
                let end = target.find(')').unwrap_or(target.len());
                found.push((number, target[..end].to_owned()));
            }
        }
        found
    }

    /// The anchors of all headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let headings = self.prose().filter(|(_, line)| {
            let marks = line.len() - line.trim_start_matches('#').len();
            (1..=6).contains(&marks) && line[marks..].starts_with(' ')
        });
        headings
            .map(|(_, line)| {
                let anchor = anchor_of(line.trim_start_matches('#').trim());
                let times = seen.entry(anchor.clone()).or_default();
                *times += 1;
                if *times == 1 {
                    anchor
                } else {
                    format!("{anchor}-{}", *times - 1)
                }
            })
            .collect()
    }
}

/// Letters, digits, hyphens and underscores stay; a blank is a hyphen.
fn anchor_of(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The words of a line: what stands between blanks and has a letter or a digit.
pub(crate) fn words(line: &str) -> usize {
    line.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

/// Lines without the indentation that all of them have.
pub(crate) fn dedented(text: &str) -> Vec<&str> {
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let filled = text.lines().filter(|line| !line.trim().is_empty());
    let least = filled.map(|line| indentation(&line)).min().unwrap_or(0);
    text.lines().map(|line| line.get(least..).unwrap_or("").trim_end()).collect()
}

/// Whether `part` is a run of lines of `whole`, whatever the indentation of both.
pub(crate) fn is_part_of(part: &str, whole: &str) -> bool {
    let part = dedented(part);
    let lines: Vec<&str> = whole.lines().collect();
    lines.windows(part.len()).any(|run| dedented(&run.join("\n")) == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: PathBuf::from("page.md"), text: text.to_owned() }
    }

    #[test]
    fn blocks_have_marks_languages_and_lines() {
        let page = page("one\n<!-- a.c -->\n```c\nint a;\n\nint b;\n```\n\n```sh\nls\n```\n");
        let blocks = page.blocks();
        assert_eq!(blocks.len(), 2);
        assert_eq!((blocks[0].line, &*blocks[0].mark, &*blocks[0].language), (4, "a.c", "c"));
        assert_eq!(blocks[0].text, "int a;\n\nint b;\n");
        assert_eq!((&*blocks[1].mark, &*blocks[1].text), ("", "ls\n"));
    }

    #[test]
    fn links_in_code_are_none() {
        let page = page("[a](b.md#c) `x[1](2)` ![p](p.svg)\n```\n[d](e)\n```\n");
        let targets: Vec<_> = page.links().into_iter().map(|(_, target)| target).collect();
        assert_eq!(targets, ["b.md#c", "p.svg"]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let page = page("# A `tls_t`, now\n## B\n```\n# c\n```\n## B\n#d\n");
        assert_eq!(page.anchors(), ["a-tls_t-now", "b", "b-1"]);
    }

    #[test]
    fn a_part_may_be_indented_otherwise_but_not_changed() {
        let whole = "f() {\n    a;\n        b;\n\n    c;\n}\n";
        assert!(is_part_of("a;\n    b;\n", whole));
        assert!(is_part_of("    b;\n\nc;\n", whole));
        assert!(!is_part_of("a;\nb;\n", whole));
        assert!(!is_part_of("a;\n\nc;\n", whole));
    }

    #[test]
    fn words_have_a_letter_or_a_digit() {
        assert_eq!(words("| one | - two, 3 | ** |"), 3);
    }
}
