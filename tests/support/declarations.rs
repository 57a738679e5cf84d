//! The functions that a C header declares, found by reading it.
//!
//! Enough of C for a header that cbindgen writes: comments, preprocessor
//! lines, and declarations that end in a semicolon.

/// A function's declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// The comment that ends directly above it; empty: there is none.
    pub(crate) comment: String,
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
            if let Some(name) = function_name(declaration) {
                found.push(Declaration { name, comment: comment.clone() });
            }
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

/// The name in front of the parameters, if this declares a function.
fn function_name(declaration: &str) -> Option<String> {
    let first = declaration.split_whitespace().next();
    // `struct s *f(void)` is a function, `struct s { ... }` is not.
    let is_type = first == Some("typedef")
        || declaration.contains('{')
            && ["struct", "enum", "union"].iter().any(|word| first == Some(word));
    let before = declaration.split_once('(')?.0.trim_end();
    let start =
        before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    (!is_type).then(|| before[start..].to_owned())
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
    }
}
