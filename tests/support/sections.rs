// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of the header: the declarations that cbindgen writes, put into the
//! sections of `src/capi/sections.txt`.

use std::collections::BTreeMap;

/// A heading and the names that stand below it.
struct Section<'a> {
    title: &'a str,
    text: Vec<&'a str>,
    names: Vec<&'a str>,
}

/// The sections that `text` lists. Lines in front of the first are remarks.
fn sections(text: &str) -> Vec<Section<'_>> {
    let mut found: Vec<Section> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("== ") {
            found.push(Section { title, text: Vec::new(), names: Vec::new() });
        } else if let Some(section) = found.last_mut() {
            match line.strip_prefix("+ ") {
                Some(names) => section.names.extend(names.split_whitespace()),
                None => section.text.push(line),
            }
        }
    }
    found
}

/// The header with its declarations in the order of `list`, each section under
/// its heading and in a group of Doxygen's. In `generated`, a declaration with
/// its comment is a paragraph that begins with `/**`; a comment without a
/// declaration is a part of the head.
pub(crate) fn in_sections(generated: &str, list: &str) -> String {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut items = BTreeMap::new();
    for paragraph in generated.split("\n\n").map(str::trim).filter(|part| !part.is_empty()) {
        if paragraph.starts_with("/**") && !paragraph.ends_with("*/") {
            let name = name(paragraph);
            assert!(items.insert(name, paragraph).is_none(), "{name} is declared twice");
        } else if items.is_empty() || paragraph.contains("extern \"C\" {") {
            head.push(paragraph);
        } else {
            tail.push(paragraph);
        }
    }
    let mut text = head;
    let sections = sections(list);
    let headings: Vec<[String; 2]> = sections.iter().map(heading).collect();
    for (section, heading) in sections.iter().zip(&headings) {
        text.extend(heading.iter().map(String::as_str));
        for name in &section.names {
            let item = items.remove(name);
            text.push(item.unwrap_or_else(|| {
                panic!("{name}, in section {}, is declared nowhere or listed twice", section.title)
            }));
        }
        text.push(END_OF_GROUP);
    }
    let left: Vec<_> = items.keys().collect();
    assert!(left.is_empty(), "src/capi/sections.txt has no place for {left:?}");
    text.extend(tail);
    text.iter().map(|paragraph| with_short_comments(paragraph)).collect::<Vec<_>>().join("\n\n")
        + "\n"
}

/// A paragraph in which a comment of one line takes one line.
fn with_short_comments(paragraph: &str) -> String {
    let lines: Vec<&str> = paragraph.lines().collect();
    let (mut text, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let short = match lines[at..] {
            [first, middle, last, ..] if first.trim() == "/**" && last.trim() == "*/" => {
                let indent = &first[..first.len() - "/**".len()];
                let comment = middle.trim_start().trim_start_matches("* ");
                Some(format!("{indent}/** {comment} */")).filter(|line| line.len() <= 100)
            }
            _ => None,
        };
        at += if short.is_some() { 3 } else { 1 };
        text.push(short.unwrap_or_else(|| lines[at - 1].to_owned()));
    }
    text.join("\n")
}

/// The title in capitals, for who reads the header, and the section's group for
/// Doxygen with the text.
fn heading(section: &Section) -> [String; 2] {
    let line = "=".repeat(96);
    let title = format!("/*{line}\n * {}\n *{line}*/", section.title);
    let (first, rest) = section.title.split_at(1);
    let (rest, name) = (rest.to_lowercase(), section.title.to_lowercase().replace(' ', "_"));
    let mut group = format!("/**\n * @defgroup tls_{name} {first}{rest}\n *\n");
    for line in &section.text {
        group += &format!(" * {line}\n");
    }
    [title, group + " * @{\n */"]
}

const END_OF_GROUP: &str = "/** @} */";

/// What a paragraph of the header declares: of several, the first.
fn name(paragraph: &str) -> &str {
    let code = paragraph.split_once("*/").map_or(paragraph, |(_, code)| code).trim();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let last_word = |text: &'_ str| {
        let end = text.rfind(is_word).map_or(0, |at| at + 1);
        let start = text[..end].rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
        start..end
    };
    if let Some(define) = code.strip_prefix("#define ") {
        return define.split(|c| !is_word(c)).next().unwrap_or_default();
    }
    let before = match code.strip_prefix("typedef ") {
        // `typedef int (*name)(...)`, or a type that ends with its name.
        Some(function) if !code.contains('{') && code.contains("(*") => {
            let start = function.find("(*").expect("it is there") + 2;
            &function[start..start + function[start..].find(')').expect("it is closed")]
        }
        Some(other) => other,
        None => code.split_once('(').map_or(code, |(before, _)| before),
    };
    &before[last_word(before)]
}

/// The header's code, with blanks for its comments and its strings: what a
/// compiler for C89 must be able to read.
pub(crate) fn without_comments(header: &str) -> String {
    let (mut code, mut rest) = (String::new(), header);
    while let Some(at) = rest.find("/*") {
        code.push_str(&rest[..at]);
        let end = rest[at + 2..].find("*/").expect("every comment is closed");
        code.push(' ');
        rest = &rest[at + 2 + end + 2..];
    }
    code + rest
}

/// The types that `header` gives a name to, and its macros.
pub(crate) fn names_given(header: &str) -> Vec<String> {
    let code = without_comments(header);
    let words: Vec<&str> = code
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '#')
        .filter(|word| !word.is_empty())
        .collect();
    let after = |word: &str| ["struct", "enum", "union", "#define"].contains(&word);
    let pairs = words.windows(2).filter(|pair| after(pair[0]));
    let mut names: Vec<String> = pairs.map(|pair| pair[1].to_owned()).collect();
    for statement in code.split("typedef ").skip(1) {
        names.push(name(&format!("typedef {}", up_to_its_end(statement))).to_owned());
    }
    names
}

/// Up to the semicolon that is in no braces.
fn up_to_its_end(statement: &str) -> &str {
    let mut depth = 0;
    for (position, character) in statement.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return &statement[..position],
            _ => {}
        }
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATED: &str = "/**\n * book\n */\n\n#ifndef H\n\n\n/** v */\n#define V 1\n#define W 2\n\n\
        /**\n * f\n */\ntypedef void (*f_fn)(void *a);\n\n\n\n/**\n * s\n * of two lines\n */\n\
        typedef struct s {\n  int (*m)(void);\n} s_t;\n\n#ifdef C\nextern \"C\" {\n#endif\n\n\
        /**\n * g\n */\nstruct s_t *g(int (*x)(void),\n    int y);\n\n#ifdef C\n}\n#endif\n\n#endif\n";

    #[test]
    fn declarations_come_in_the_order_of_the_list() {
        let list = "# remark\n\n== ONE\ntext\n+ g s_t\n== TWO\n+ f_fn\n+ V\n";
        let sorted = in_sections(GENERATED, list);
        let at = |text: &str| sorted.find(text).unwrap_or_else(|| panic!("{text}: {sorted}"));
        let order = [
            "book",
            "extern",
            " * ONE",
            "group tls_one One",
            " * text",
            " * @{",
            "/** g",
            " * s",
            "@} */",
            " * TWO",
            "/** f",
            "v */",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{sorted}");
        assert!(sorted.ends_with("#ifdef C\n}\n#endif\n\n#endif\n"), "{sorted}");
        assert!(!sorted.contains("\n\n\n"), "{sorted}");
        assert!(sorted.contains("/** g */\nstruct s_t *g("), "{sorted}");
        assert!(!sorted.contains("/** s */"), "a comment of two lines stays: {sorted}");
    }

    #[test]
    #[should_panic = "no place for [\"f_fn\"]"]
    fn a_declaration_without_a_section_is_an_error() {
        in_sections(GENERATED, "== ONE\n+ g s_t V\n");
    }

    #[test]
    #[should_panic = "declared nowhere or listed twice"]
    fn a_name_that_is_listed_twice_is_an_error() {
        in_sections(GENERATED, "== ONE\n+ g s_t V\n+ f_fn g\n");
    }

    #[test]
    fn types_and_macros_are_found_by_their_names() {
        let names = names_given(
            "/* struct no */ #define A 1\ntypedef struct b b_t;\ntypedef int (*c)(void);",
        );
        assert_eq!(names, ["A", "b", "b_t", "c"]);
    }
}
