// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Doxygen makes the HTML site of: the header, the pages of `docs`, the
//! chapters of the header's head as a page, and the examples. The C++ headers
//! are prepared in [`super::manual_cpp`].
//!
//! Doxygen's Markdown is not the one that the pages are written in: its anchors
//! have other names, and it knows the files of the site alone. So the pages are
//! copied, and on the way:
//!
//! 1. each heading gets the anchor that its links name, after the page's name;
//! 2. a link to a page leads to the page of the site, one to a file of the
//!    repository to a copy of it, and one to a folder is text;
//! 3. a picture is copied, and lies beside the pages;
//! 4. nothing between backticks or in a block of code is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::manual::{Block, Manual};

/// The pages of the site, in the order of its contents: those of the
/// repository's root and all of `docs`.
pub(crate) fn pages(root: &Path) -> Vec<PathBuf> {
    let known = ["README.md", "docs/guide.md", "docs/guide-cpp.md", "docs/pools.md"];
    let mut pages: Vec<PathBuf> = known.iter().map(PathBuf::from).collect();
    let mut others: Vec<PathBuf> = fs::read_dir(root.join("docs"))
        .expect("docs is there")
        .map(|entry| Path::new("docs").join(entry.expect("docs can be read").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    others.sort();
    pages.extend(others);
    pages.extend(["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(PathBuf::from));
    let mut seen = BTreeSet::new();
    pages.retain(|page| root.join(page).is_file() && seen.insert(page.clone()));
    pages
}

/// The name of a page in the site, without `.html`.
fn name_of(page: &Path) -> String {
    let stem = page.file_stem().expect("a page has a name").to_string_lossy().to_lowercase();
    if stem == "readme" {
        "index".to_owned()
    } else {
        format!("page_{stem}")
    }
}

/// The anchor that a link to a heading names.
pub(crate) fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

/// What has to be copied beside the pages: the file of the repository, and where
/// it lies in the site.
pub(crate) type Copies = BTreeMap<PathBuf, String>;

/// Stands for what looks like a link in code.
const CODE: &str = "]\u{1}(";

/// Copies pages, and notes what they refer to.
pub(crate) struct Site<'a> {
    pub(crate) root: &'a Path,
    pub(crate) pages: Vec<PathBuf>,
    pub(crate) copies: Copies,
}

impl Site<'_> {
    /// A page as Doxygen is given it.
    pub(crate) fn page(&mut self, page: &Path) -> String {
        let text = fs::read_to_string(self.root.join(page)).expect("a page is text");
        let name = name_of(page);
        let (mut out, mut fence) = (String::new(), None);
        // How often each heading has come.
        let mut slugs: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            let indented = line.trim_start();
            let mark = indented.get(..3).filter(|mark| ["```", "~~~"].contains(mark));
            if let Some(mark) = mark.filter(|mark| fence.is_none_or(|open| open == *mark)) {
                fence = if fence.is_some() { None } else { Some(mark) };
                // Blocks that are no language of Doxygen's are plain text.
                let is_known = ["```c", "```cpp", "```python", "```"].contains(&line.trim());
                out += if is_known { line.trim_end() } else { "```{.txt}" };
                out.push('\n');
                continue;
            }
            if fence.is_some() {
                out += &format!("{line}\n");
                continue;
            }
            let level = line.chars().take_while(|c| *c == '#').count();
            if level > 0 && line[level..].starts_with(' ') {
                let heading = line[level..].trim().replace('`', "");
                let slug = slug(&heading);
                let anchor = match (slugs.len(), slugs.get(&slug)) {
                    (0, _) if name == "index" => "mainpage".to_owned(),
                    (0, _) => name.clone(),
                    (_, None) => anchor(&name, &slug),
                    (_, Some(times)) => format!("{}-{times}", anchor(&name, &slug)),
                };
                *slugs.entry(slug).or_default() += 1;
                out += &format!("{} {heading} {{#{anchor}}}\n", &line[..level]);
                continue;
            }
            out += &self.line(page, line);
            out.push('\n');
        }
        out
    }

    /// A line of text, with its links; what is between backticks stays.
    fn line(&mut self, page: &Path, line: &str) -> String {
        let mut out = String::new();
        for (number, part) in line.split('`').enumerate() {
            let is_code = number % 2 == 1;
            out += if number > 0 { "`" } else { "" };
            out += &if is_code { part.replace("](", CODE) } else { escape(part) };
        }
        self.links(page, &out).replace(CODE, "](")
    }

    fn links(&mut self, page: &Path, line: &str) -> String {
        let Some(middle) = line.find("](") else { return line.to_owned() };
        let Some(length) = line[middle..].find(')') else { return line.to_owned() };
        let end = middle + length;
        let Some(start) = opening(&line[..middle]) else {
            // The text of the link began on the line before.
            let target = self.target(page, &line[middle + 2..end]);
            let target = target.unwrap_or_else(|| "index.html".to_owned());
            let rest = self.links(page, &line[end + 1..]);
            return format!("{}]({target}){rest}", &line[..middle]);
        };
        let is_picture = line[..start].ends_with('!');
        let text = &line[start + 1..middle];
        let target = &line[middle + 2..end];
        let (before, link) = if is_picture {
            (&line[..start - 1], self.picture(page, text, target))
        } else {
            let link = self.target(page, target).map(|target| format!("[{text}]({target})"));
            (&line[..start], link.unwrap_or_else(|| text.to_owned()))
        };
        // A picture can be the text of a link, which ends behind it.
        if let Some(before) = before.strip_suffix('[').filter(|_| is_picture) {
            if let Some((target, rest)) =
                line[end + 1..].strip_prefix("](").and_then(|rest| rest.split_once(')'))
            {
                let target = self.target(page, target).unwrap_or_else(|| "index.html".to_owned());
                return format!(
                    "{before}<a href=\"{target}\">{link}</a>{}",
                    self.links(page, rest)
                );
            }
        }
        format!("{before}{link}{}", self.links(page, &line[end + 1..]))
    }

    fn picture(&mut self, page: &Path, alternative: &str, target: &str) -> String {
        let file = below(page, target);
        let name = file.file_name().expect("a picture has a name").to_string_lossy().into_owned();
        self.copies.insert(file, name.clone());
        format!("<img src=\"{name}\" alt=\"{}\"/>", alternative.replace('"', "'"))
    }

    /// Where a link leads in the site; none for what is not in it.
    fn target(&mut self, page: &Path, target: &str) -> Option<String> {
        if target.contains("://") || target.starts_with("mailto:") {
            return Some(target.to_owned());
        }
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = if path.is_empty() { page.to_owned() } else { below(page, path) };
        if self.pages.contains(&file) {
            let name = name_of(&file);
            let anchor = anchor(&name, heading);
            let anchor = if heading.is_empty() { String::new() } else { format!("#{anchor}") };
            return Some(format!("{name}.html{anchor}"));
        }
        if file == Path::new("include/threadlocalmap.h") {
            return Some("threadlocalmap_8h.html".to_owned());
        }
        if file == Path::new("bindings/cpp/include/threadlocalmap.hpp") {
            return Some("threadlocalmap_8hpp.html".to_owned());
        }
        let path = self.root.join(&file);
        assert!(path.exists(), "{} has a link to {target}, which is not there", page.display());
        if path.is_dir() {
            return file.starts_with("examples").then(|| "examples.html".to_owned());
        }
        // As text, whatever its ending, so that a browser shows it.
        let name = format!("files/{}.txt", file.display().to_string().replace('/', "_"));
        self.copies.insert(file, name.clone());
        Some(name)
    }
}

/// The anchor of a heading: of the whole site, so with the page's name.
fn anchor(page: &str, slug: &str) -> String {
    format!("{page}_{slug}")
}

/// The bracket that opens what ends here.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, character) in text.char_indices().rev() {
        match character {
            ']' => depth += 1,
            '[' if depth == 0 => return Some(at),
            '[' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The path in the repository that a page names from where it lies.
fn below(page: &Path, target: &str) -> PathBuf {
    let mut path = page.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// What is a command of Doxygen's, and is not meant as one.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('@', "\\@").replace("\\\\|", "\\|")
}

/// The header, with the facts of each function as a table.
pub(crate) fn header(header: &str) -> String {
    let mut out = String::new();
    let mut lines = header.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with(" * Threads: ") {
            out += &format!("{line}\n");
            continue;
        }
        let mut facts = line.trim_start_matches(" * ").to_owned();
        while let Some(more) = lines.next_if(|line| !line.starts_with(" * @")) {
            facts += &format!(" {}", more.trim_start_matches(" *").trim());
        }
        for fact in ["Threads", "Blocks", "Runs", "Signals"] {
            let end = if fact == "Threads" { "" } else { "</td></tr>" };
            let row = format!("{end}<tr><th>{fact}</th><td>");
            facts = facts.replacen(&format!("{fact}: "), &row, 1);
        }
        out += &format!(" * <table class=\"facts\">{facts}</td></tr></table>\n");
    }
    out
}

/// A header whose first comment reads well in the site: without the file's name,
/// which is the page's title, and without the licence; chapters have a title.
pub(crate) fn with_head(header: &str) -> String {
    let (head, code) = header.split_once("\n */").expect("a header begins with a comment");
    let (mut out, mut in_chapter) = (String::new(), false);
    let mut lines = head.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.strip_prefix(" * ").unwrap_or_default();
        let is_title = !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || " ',-".contains(c))
            && text.starts_with(|c: char| c.is_ascii_uppercase());
        if text.starts_with("SPDX-") {
            lines.next();
        } else if let Some((_, brief)) = text.split_once(" - ").filter(|_| out.ends_with("@file\n"))
        {
            out += &format!(" * @brief {}{}\n", brief[..1].to_uppercase(), &brief[1..]);
        } else if is_title {
            in_chapter = true;
            out += &format!(" * @par {}{}\n", &text[..1], text[1..].to_lowercase());
        } else if in_chapter && text.starts_with("  ") {
            out += &format!(" * {}\n", &text[2..]);
        } else {
            in_chapter &= text.is_empty();
            out += &format!("{line}\n");
        }
    }
    format!("{out} */{code}")
}

/// The chapters of the header's head.
pub(crate) fn conventions(manual: &Manual) -> String {
    let mut out = String::from("# Conventions {#page_conventions}\n\n");
    out += "What holds for all functions, as it stands at the head of threadlocalmap.h.\n\n";
    for chapter in &manual.chapters {
        let (first, rest) = chapter.title.split_at(1);
        let title = format!("{first}{}", rest.to_lowercase());
        out += &format!("## {title} {{#conventions_{}}}\n\n", slug(&title));
        for block in &chapter.blocks {
            out += &markdown(block);
            out.push('\n');
        }
    }
    out
}

fn markdown(block: &Block) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    match block {
        Block::Paragraph(text) => format!("{text}\n"),
        Block::Code(lines) => format!("```c\n{}\n```\n", lines.join("\n")),
        Block::Bullets(items) => items.iter().map(|item| format!("* {item}\n")).collect(),
        Block::Terms(terms) => {
            let rows = terms
                .iter()
                .map(|(term, text)| format!("<tr><th>{term}</th><td>{text}</td></tr>\n"));
            format!("<table class=\"facts\">\n{}</table>\n", rows.collect::<String>())
        }
        Block::Table(rows) => {
            let line = |row: &Vec<String>| {
                let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
                format!("| {} |\n", cells.join(" | "))
            };
            let mut lines = rows.iter().map(line);
            let titles = lines.next().expect("a table has titles");
            let rule = format!("|{}\n", "---|".repeat(rows[0].len()));
            titles + &rule + &lines.collect::<String>()
        }
    }
}

/// The examples, each with the sentence that its first comment begins with.
pub(crate) fn examples(root: &Path) -> String {
    let mut files = Vec::new();
    let mut folders = vec![root.join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("examples can be read") {
            let path = entry.expect("examples can be read").path();
            let extension = path.extension().unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if extension == "c" || extension == "cpp" {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 5, "examples have been found: {files:?}");
    let mut out = String::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("an example is text");
        let name =
            file.strip_prefix(root.join("examples")).expect("below it").display().to_string();
        out += &format!("/** @example {name}\n{}\n*/\n\n", first_sentence(&text));
    }
    out
}

fn first_sentence(source: &str) -> String {
    let Some(comment) = source.trim_start().strip_prefix("/*") else { return String::new() };
    let comment = comment.split("*/").next().unwrap_or_default();
    let lines = comment.lines().map(|line| line.trim_start_matches([' ', '*']));
    let text = lines.take_while(|line| !line.contains("SPDX-")).collect::<Vec<_>>().join(" ");
    let text = text.trim();
    // The name of the file in front says nothing here.
    let text = text
        .split_once(" - ")
        .filter(|(name, _)| !name.contains(' '))
        .map_or(text, |(_, rest)| rest);
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    escape(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(root: &Path) -> Site<'_> {
        let pages = vec![PathBuf::from("README.md"), PathBuf::from("docs/pools.md")];
        Site { root, pages, copies: Copies::new() }
    }

    #[test]
    fn links_lead_into_the_site() {
        let root = super::super::source_root();
        let mut site = site(root);
        let page = Path::new("docs/pools.md");
        for (line, expected) in [
            ("a [b](../README.md#the-problem).", "a [b](index.html#index_the-problem)."),
            ("[x](#a-b) [y](pools.md)", "[x](page_pools.html#page_pools_a-b) [y](page_pools.html)"),
            ("`[x](#no)` c@d", "`[x](#no)` c\\@d"),
            ("[all](../examples), [tests](../tests)", "[all](examples.html), tests"),
            ("![A](benchmarks/life.svg)", "<img src=\"life.svg\" alt=\"A\"/>"),
            (
                "[![A](benchmarks/life.svg)](pools.md) z",
                "<a href=\"page_pools.html\"><img src=\"life.svg\" alt=\"A\"/></a> z",
            ),
            ("[m](../Makefile)", "[m](files/Makefile.txt)"),
            ("[h](../bindings/cpp/include/threadlocalmap.hpp)", "[h](threadlocalmap_8hpp.html)"),
            ("[w](https://a.b/c)", "[w](https://a.b/c)"),
        ] {
            assert_eq!(site.line(page, line), expected);
        }
        assert_eq!(site.copies[Path::new("docs/benchmarks/life.svg")], "life.svg");
        assert_eq!(site.copies[Path::new("Makefile")], "files/Makefile.txt");
    }

    #[test]
    fn headings_have_the_anchors_that_links_name() {
        assert_eq!(slug("RocksDB's ThreadLocalPtr: a `key`"), "rocksdbs-threadlocalptr-a-key");
    }

    #[test]
    fn the_head_of_a_header_becomes_the_text_of_its_page() {
        let head = "/**\n * @file\n * x.h - does it.\n *\n * SPDX-x\n *\n * Text.\n *\n * WHAT IT'S, PLUG-INS\n *   Word.\n\
            \x20*       code\n *\n * End.\n */\nint x;\n";
        let expected =
            "/**\n * @file\n * @brief Does it.\n *\n * Text.\n *\n * @par What it's, plug-ins\n * Word.\n\
            \x20*     code\n *\n * End.\n */\nint x;\n";
        assert_eq!(with_head(head), expected);
    }

    #[test]
    fn facts_become_a_table() {
        let text =
            "/**\n * Threads: any. Blocks: no. Runs: x,\n * y. Signals: safe.\n * @since 1\n */\n";
        let table = header(text);
        assert!(table.contains("<th>Runs</th><td>x, y. </td></tr><tr><th>Signals</th>"), "{table}");
        assert!(table.ends_with("</table>\n * @since 1\n */\n"), "{table}");
    }
}
