// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions that a C header declares, found by reading it.
//!
//! Enough of C for a header that cbindgen writes: comments, preprocessor
//! lines, and declarations that end in a semicolon.

/// A function's declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// What it returns, without blanks at its ends.
    pub(crate) result: String,
    /// Each parameter as it is declared, none for `void`.
    pub(crate) parameters: Vec<String>,
    /// The comment that ends directly above it; empty: there is none.
    pub(crate) comment: String,
}

impl Declaration {
    /// The parameters' names.
    pub(crate) fn parameter_names(&self) -> Vec<&str> {
        self.parameters.iter().map(|parameter| declared_name(parameter)).collect()
    }
}

/// Every function that `header` declares, in its order.
pub(crate) fn declarations(header: &str) -> Vec<Declaration> {
    let mut found = Vec::new();
    let mut comment = String::new();
    let mut rest = header;
    while !rest.is_empty() {
        if let Some(text) = rest.strip_prefix("/*") {
            let end = text.find("*/").expect("every comment is closed");
            comment = text[..end].to_owned();
            rest = &text[end + 2..];
            // One line break: what follows stands directly below.
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        } else if rest.starts_with('#') || rest.starts_with("extern \"C\" {") {
            comment.clear();
            rest = after_line(rest);
        } else if rest.starts_with(|first: char| first.is_whitespace() || first == '}') {
            comment.clear();
            rest = &rest[1..];
        } else {
            let (declaration, after) = statement(rest);
            found.extend(function(declaration, &comment));
            comment.clear();
            rest = after;
        }
    }
    found
}

/// What follows the line, and those that a backslash joins to it.
fn after_line(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        if !line.trim_end().ends_with('\\') {
            break;
        }
    }
    &text[end..]
}

/// Up to the semicolon that is in no braces, and what follows it.
fn statement(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (position, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return (&text[..position], &text[position + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// The function that this declares, if it does.
pub(crate) fn function(declaration: &str, comment: &str) -> Option<Declaration> {
    let first = declaration.split_whitespace().next();
    // `struct s *f(void)` is a function, `struct s { ... }` is not.
    let is_type = first == Some("typedef")
        || declaration.contains('{')
            && ["struct", "enum", "union"].iter().any(|word| first == Some(word));
    let (before, after) = declaration.split_once('(')?;
    let before = before.trim_end();
    let start = before.rfind(|c| !is_of_a_name(c)).map_or(0, |at| at + 1);
    (!is_type).then(|| Declaration {
        name: before[start..].to_owned(),
        result: before[..start].trim().to_owned(),
        parameters: parameters(after),
        comment: comment.to_owned(),
    })
}

fn is_of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The parameters, one line each, of a list that was opened in front of `text`.
pub(crate) fn parameters(text: &str) -> Vec<String> {
    let (mut found, mut parameter, mut depth) = (Vec::new(), String::new(), 0);
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => break,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(std::mem::take(&mut parameter));
                continue;
            }
            _ => {}
        }
        parameter.push(character);
    }
    found.push(parameter);
    let on_one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let found: Vec<String> = found.into_iter().map(on_one_line).collect();
    if found == ["void"] {
        Vec::new()
    } else {
        found
    }
}

/// The name that a parameter or a member declares: of a pointer to a function,
/// what stands behind the asterisk.
pub(crate) fn declared_name(declaration: &str) -> &str {
    let declarator = match declaration.split_once("(*") {
        Some((_, rest)) => rest.split_once(')').map_or(rest, |(name, _)| name),
        None => declaration,
    };
    let declarator = declarator.trim_end();
    &declarator[declarator.rfind(|c| !is_of_a_name(c)).map_or(0, |at| at + 1)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_with_the_comment_directly_above() {
        let header =
            "/* book */\n\n#ifndef H\n#define F(x) \\\n  g(x)\n/* t */\ntypedef int (*f)(void);\n\
            extern \"C\" {\n/* what a does */\nint a(void (*f)(void *), int);\n\n/* far */\n\n\
            void *b(void);\nconst char *\nc(int x);\ntypedef struct s {\n  int m;\n} s;\n\
            struct s *d(void);\nstruct t {\n  int (*m)(void);\n};\n}\n#endif\n";
        let found = declarations(header);
        let names: Vec<_> = found.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(found[0].comment, " what a does ");
        assert_eq!(found[1].comment, "");
        let results: Vec<_> = found.iter().map(|d| d.result.as_str()).collect();
        assert_eq!(results, ["int", "void *", "const char *", "struct s *"]);
        assert_eq!(found[0].parameters, ["void (*f)(void *)", "int"]);
        assert_eq!(found[2].parameter_names(), ["x"]);
        assert!(found[1].parameters.is_empty());
    }

    #[test]
    fn a_parameter_that_is_a_function_has_one_name() {
        let text = "tls_key_t key, int (*visit)(uint64_t map,\n    void *arg), const void  *arg);";
        let names: Vec<_> = parameters(text).iter().map(|p| declared_name(p).to_owned()).collect();
        assert_eq!(names, ["key", "visit", "arg"]);
        assert_eq!(parameters(text)[1], "int (*visit)(uint64_t map, void *arg)");
    }
}
