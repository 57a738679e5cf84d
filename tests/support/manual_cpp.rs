// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C++ headers: as the HTML site has them, without what is private, and what
//! they declare for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The headers for programs, by their paths below `include`. The others say at
/// their head that they are private.
pub(crate) fn headers(root: &Path) -> BTreeMap<String, String> {
    let include = root.join("bindings/cpp/include");
    let mut headers = BTreeMap::new();
    for folder in [include.clone(), include.join("threadlocalmap")] {
        for entry in fs::read_dir(&folder).expect("the C++ headers are there") {
            let path = entry.expect("they can be read").path();
            if path.extension().is_none_or(|extension| extension != "hpp") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a header is text");
            let head = text.split(" */").next().unwrap_or_default();
            if !head.split_whitespace().any(|word| word == "Private.") {
                let name = path.strip_prefix(&include).expect("below it").display().to_string();
                headers.insert(name, text);
            }
        }
    }
    assert!(headers.len() > 10, "headers have been found: {:?}", headers.keys());
    headers
}

/// What the site does not show: the line that it begins with, and the last line.
const HIDDEN: [(&str, &str); 3] = [
    ("namespace detail {", "}  // namespace detail"),
    // It makes std::error_code take the library's errors, and declares nothing of the library.
    ("namespace std {", "}  // namespace std"),
    (" private:", "};"),
];

/// A header without what is private, without the inline namespace that only compilers need, and
/// without what is deleted. A private type in a declaration is `unspecified`.
pub(crate) fn without_private(header: &str) -> String {
    let (mut out, mut hidden) = (String::new(), None);
    let mut lines = header.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(last) = hidden {
            if line != last {
                continue;
            }
            // The end of a class is not hidden.
            out += if last == "};" { "};\n" } else { "" };
            hidden = None;
            continue;
        }
        hidden = HIDDEN.iter().find(|(first, _)| *first == line).map(|(_, last)| *last);
        let is_deleted = line.ends_with(" = delete;")
            || lines
                .next_if(|next| next.trim_start().starts_with("TLS_PRIVATE_DELETED("))
                .is_some();
        let is_mode = line.contains("namespace TLS_PRIVATE_MODE");
        if !(hidden.is_some() || is_deleted || is_guide(line) || is_mode) {
            out += line;
            out.push('\n');
        }
    }
    let mut out = without_conditions(&out).replace("typename detail::copier<T>::source", "T");
    // From the end: the arguments of a private type may be private types.
    while let Some(start) = out.rfind("detail::") {
        let name = start + "detail::".len();
        out.replace_range(start..name + end_of_type(&out[name..]), "unspecified");
    }
    out
}

/// `options() -> options<...>;` tells the compiler the arguments of a template.
fn is_guide(line: &str) -> bool {
    let name = line.split('(').next().unwrap_or_default();
    line.contains(&format!(") -> {name}<")) && line.ends_with(">;")
}

/// Without the template parameters that have a default and no name: they only
/// take an overload out of the compiler's choice.
fn without_conditions(text: &str) -> String {
    let mut parts = text.split("class = ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let before = out.trim_end().strip_suffix(',').expect("such a parameter is not the first");
        out.truncate(before.len());
        let mut depth = 0;
        let end = part.find(|character| {
            match character {
                '<' | '(' => depth += 1,
                '>' | ')' => depth -= 1,
                _ => {}
            }
            depth < 0 || depth == 0 && character == ','
        });
        out += &part[end.expect("a list of parameters ends")..];
    }
    out
}

/// Where a type ends that the text begins with: behind its name and its arguments.
fn end_of_type(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    if !text[end..].starts_with('<') {
        return end;
    }
    let mut depth = 0;
    let close = text[end..].find(|character| {
        match character {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    end + close.expect("arguments end") + 1
}

/// How often each name is declared for programs, by the class or the namespace that it is in.
pub(crate) type Declared = BTreeMap<String, BTreeMap<String, usize>>;

/// Notes what a header declares: classes, their public members, functions, types, and
/// enumerations with their constants. Namespaces and classes begin lines, and members are two
/// blanks away; so it is independent of [`without_private`].
pub(crate) fn declarations(header: &str, declared: &mut Declared) {
    let mut namespaces: Vec<&str> = Vec::new();
    let (mut class, mut is_public, mut in_enum) = (None, false, false);
    let (mut in_private_namespace, mut is_marked) = (false, false);
    for line in header.lines() {
        if let Some(name) = line.strip_prefix("namespace ").and_then(|rest| rest.strip_suffix(" {"))
        {
            in_private_namespace |= ["detail", "std"].contains(&name);
            namespaces.push(name);
        } else if line.starts_with("}  // namespace ") && !line.contains("TLS_PRIVATE_MODE") {
            namespaces.pop();
            in_private_namespace = false;
        }
        // `@private` hides the declaration that comes next.
        is_marked |= line.contains("@private");
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let is_code = code.starts_with(|c: char| c.is_ascii_alphabetic() || c == '~' || c == '[');
        if in_private_namespace || (!is_code && line != "};") {
            is_public = if line == " private:" { false } else { is_public };
            continue;
        }
        let namespace = namespaces.join("::");
        let kind = code.split(' ').next().unwrap_or_default();
        let mut declare = |scope: &str, name: &str| {
            *declared.entry(scope.to_owned()).or_default().entry(name.to_owned()).or_default() += 1;
        };
        let is_class = ["class", "struct"].contains(&kind) && line.ends_with('{');
        if indent == 0 && is_class || line.starts_with("enum class ") {
            let name =
                code.trim_start_matches("enum ").split([' ', '{']).nth(1).unwrap_or_default();
            in_enum = line.starts_with("enum ");
            is_public = in_enum || kind == "struct";
            if in_enum {
                declare(&namespace, name);
            } else {
                declared.entry(format!("{namespace}::{name}")).or_default();
            }
            class = Some(if in_enum { namespace } else { format!("{namespace}::{name}") });
        } else if line == "};" {
            class = None;
        } else if line == " public:" || line == " private:" {
            is_public = line == " public:";
        } else if let Some(class) = class.as_deref().filter(|_| indent == 2 && is_public) {
            let name = if in_enum { code.split([' ', ',']).next() } else { name_declared(code) };
            if let Some(name) = name.filter(|_| !std::mem::take(&mut is_marked)) {
                declare(class, name);
            }
        } else if let Some(name) = name_declared(code).filter(|_| indent == 0 && class.is_none()) {
            declare(&namespace, name);
        }
    }
}

/// The name of the function or the type that a line declares; none for what is deleted.
fn name_declared(code: &str) -> Option<&str> {
    let is_other = ["template ", "static_assert("].iter().any(|start| code.starts_with(start));
    let is_deleted = code.ends_with(" = delete;") || code.ends_with(" =");
    if is_deleted || is_other || is_guide(code) {
        return None;
    }
    if let Some(alias) = code.strip_prefix("using ") {
        return alias.split(' ').next();
    }
    if let Some(start) = code.find("operator") {
        let after = start + "operator".len();
        let end = after + code[after..].strip_prefix("()").map_or(code[after..].find('(')?, |_| 2);
        return Some(&code[start..end]);
    }
    let before = &code[..code.find('(')?];
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '~');
    Some(&before[start.map_or(0, |at| at + 1)..])
}

/// The template parameters that have a name and no `@tparam` in the comment before them.
pub(crate) fn template_parameters_without_text(header: &str) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for part in without_private(header).split("/**").skip(1) {
        let Some((comment, code)) = part.split_once("*/") else { continue };
        let Some(list) = code.trim_start().strip_prefix("template <") else { continue };
        let list = &list[..list.find(">\n").unwrap_or(list.len())];
        for parameter in list.split("class").skip(1) {
            let name = parameter.trim_start_matches("...").trim_start();
            let name = &name[..name.find([',', ' ', '>']).unwrap_or(name.len())];
            if !comment.contains(&format!("@tparam {name} ")) {
                let line = code.trim_start().lines().nth(1).unwrap_or_default();
                missing.insert(format!("{name}: {}", line.trim()));
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "\
namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {
class hidden {
 public:
  void nothing();
};
}  // namespace detail

/** A. */
template <class T = detail::any>
class a {
 public:
  using type = T;
  template <class F, class = detail::enable<F, T>>
  explicit a(F f) : f_(f) {
    call(f);
  }
  a(const a &) = delete;
  int *begin() const =
      TLS_PRIVATE_DELETED(\"no\");
  /** @private It. */
  const detail::b<detail::c> &b() const;
  void f() const { g(1); }
  explicit operator bool() const;
  T operator()(int);

 private:
  void own();
  int f_;
};

a(int) -> a<int>;

/** Does it. */
inline int do_it(int times) noexcept { return go(times); }

enum class e {
  one,  ///< 1
  two
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls
";

    #[test]
    fn declarations_are_those_for_programs() {
        let mut found = Declared::new();
        declarations(HEADER, &mut found);
        let names = |scope: &str| found[scope].keys().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["tls", "tls::a"]);
        assert_eq!(names("tls"), ["do_it", "e", "one", "two"]);
        assert_eq!(names("tls::a"), ["a", "f", "operator bool", "operator()", "type"]);
    }

    #[test]
    fn what_is_private_is_not_in_the_site() {
        let shown = without_private(HEADER);
        for hidden in ["detail", "hidden", "TLS_PRIVATE", "begin", "delete", "own()", "f_;"] {
            assert!(!shown.contains(hidden), "{hidden} is in:\n{shown}");
        }
        for line in ["template <class T = unspecified>\n", "  template <class F>\n", "};\n"] {
            assert!(shown.contains(line), "{line} is not in:\n{shown}");
        }
        assert!(shown.contains("  const unspecified &b() const;\n"), "{shown}");
    }

    #[test]
    fn a_template_parameter_without_text_is_found() {
        let missing = template_parameters_without_text(HEADER);
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["T: class a {"]);
    }
}
