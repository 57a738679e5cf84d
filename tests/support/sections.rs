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

/// The header with its declarations in the order of `sections`, each section
/// under its heading. In `generated`, a declaration with its comment is a
/// paragraph that begins with `/**`.
pub(crate) fn in_sections(generated: &str, list: &str) -> String {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut items = BTreeMap::new();
    for paragraph in generated.split("\n\n").map(str::trim).filter(|part| !part.is_empty()) {
        if paragraph.starts_with("/**") {
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
    let headings: Vec<String> = sections.iter().map(heading).collect();
    for (section, heading) in sections.iter().zip(&headings) {
        text.push(heading);
        for name in &section.names {
            let item = items.remove(name);
            text.push(item.unwrap_or_else(|| {
                panic!("{name}, in section {}, is declared nowhere or listed twice", section.title)
            }));
        }
    }
    let left: Vec<_> = items.keys().collect();
    assert!(left.is_empty(), "src/capi/sections.txt has no place for {left:?}");
    text.extend(tail);
    text.join("\n\n") + "\n"
}

fn heading(section: &Section) -> String {
    let line = "=".repeat(96);
    let mut heading = format!("/*{line}\n * {}\n *\n", section.title);
    for line in &section.text {
        heading += &format!(" * {line}\n");
    }
    heading + " *" + &line + "*/"
}

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

    const GENERATED: &str = "/*\n * book\n */\n\n#ifndef H\n\n\n/** v */\n#define V 1\n#define W 2\n\n\
        /**\n * f\n */\ntypedef void (*f_fn)(void *a);\n\n\n\n/**\n * s\n */\n\
        typedef struct s {\n  int (*m)(void);\n} s_t;\n\n#ifdef C\nextern \"C\" {\n#endif\n\n\
        /**\n * g\n */\nstruct s_t *g(int (*x)(void),\n    int y);\n\n#ifdef C\n}\n#endif\n\n#endif\n";

    #[test]
    fn declarations_come_in_the_order_of_the_list() {
        let list = "# remark\n\n== ONE\ntext\n+ g s_t\n== TWO\n+ f_fn\n+ V\n";
        let sorted = in_sections(GENERATED, list);
        let at = |text: &str| sorted.find(text).unwrap_or_else(|| panic!("{text}: {sorted}"));
        let order =
            ["book", "extern", " * ONE", " * text", " * g", " * s", " * TWO", " * f", "v */"];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{sorted}");
        assert!(sorted.ends_with("#ifdef C\n}\n#endif\n\n#endif\n"), "{sorted}");
        assert!(!sorted.contains("\n\n\n"), "{sorted}");
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
