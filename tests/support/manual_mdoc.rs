// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts in mdoc, the language of man pages: <https://mandoc.bsd.lv/mdoc/>.
//!
//! 1. Nothing of a text can be taken for a command: a line does not begin with
//!    a control character, a backslash is written `\e`, and a word that is the
//!    name of a macro is protected where macros are read.
//! 2. A sentence begins on a line of its own, as the formatters want it.
//! 3. In code, each character is the one of the keyboard: `-`, `'`, `` ` ``,
//!    `^` and `~` have names there, because alone they become typography.

use std::collections::BTreeSet;

use super::manual::Block;

/// What a word can refer to.
pub(crate) struct Names<'a> {
    /// The functions that have a page.
    pub(crate) functions: BTreeSet<&'a str>,
    /// The function that this page is of.
    pub(crate) own: &'a str,
    pub(crate) parameters: Vec<&'a str>,
}

/// Closing delimiters, which mdoc sets without a blank.
const CLOSING: &str = ".,;:?!)]";

/// A word of a text.
pub(crate) fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('~', "\\(ti").replace('^', "\\(ha");
    let text = text.replace("->", "\\->");
    match text.chars().next() {
        Some('-') => format!("\\{text}"),
        Some('.' | '\'') => format!("\\&{text}"),
        _ => text,
    }
}

/// A line of code.
pub(crate) fn code(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let escaped = escaped.replace('`', "\\(ga").replace('^', "\\(ha").replace('~', "\\(ti");
    if escaped.starts_with('.') {
        format!("\\&{escaped}")
    } else {
        escaped
    }
}

/// One argument of a macro.
pub(crate) fn argument(text: &str) -> String {
    let escaped = code(text).replace('"', "\\(dq");
    if text.contains(' ') {
        return format!("\"{escaped}\"");
    }
    let is_macro = (2..=3).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().skip(1).all(|c| c.is_ascii_lowercase());
    let is_delimiter = text.len() == 1 && ",;:?!)](|[".contains(text);
    if is_macro || is_delimiter {
        format!("\\&{escaped}")
    } else {
        escaped
    }
}

/// A macro with the arguments in front of which and after which there is no blank.
fn between(prefix: &str, call: &str, suffix: &str) -> String {
    let (name, arguments) = call.split_once(' ').expect("a macro has arguments");
    let separate = |text: &str| text.chars().map(|c| format!(" {c}")).collect::<String>();
    let head = if prefix.chars().all(|c| c == '(') {
        format!(".{name}{} {arguments}", separate(prefix))
    } else {
        format!(".Pf {} {name} {arguments}", argument(prefix))
    };
    if suffix.chars().all(|c| CLOSING.contains(c)) {
        head + &separate(suffix)
    } else {
        format!("{head} Ns {}", argument(suffix))
    }
}

impl Names<'_> {
    /// The macro for a word that refers to something; none for plain words.
    fn reference(&self, word: &str) -> Option<String> {
        let start = word.find(|c| !"(\"[".contains(c))?;
        let (prefix, rest) = word.split_at(start);
        if let Some((name, suffix)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            let kind = if self.parameters.contains(&name) { "Fa" } else { "Va" };
            return Some(between(prefix, &format!("{kind} {}", argument(name)), suffix));
        }
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
        let end = rest.find(|c| !is_of_a_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let is_end = |after: &str| after.chars().all(|c| CLOSING.contains(c)) || after == "'s";
        let page = |name: &str, suffix: &str| {
            let own = name == self.own;
            let call = if own { format!("Fn {name}") } else { format!("Xr {name} 3") };
            between(prefix, &call, suffix)
        };
        let quoted = |suffix: &str| suffix.replace('"', "");
        if let Some(suffix) = after.strip_prefix("()").filter(|_| !name.is_empty()) {
            return Some(if self.functions.contains(name) {
                page(name, suffix)
            } else {
                between(prefix, &format!("Fn {name}"), suffix)
            });
        }
        if let Some(suffix) = after.strip_prefix("(2)") {
            return Some(between(prefix, &format!("Xr {name} 2"), suffix));
        }
        if self.functions.contains(name) && is_end(after) {
            return Some(page(name, after));
        }
        let is_constant = name == "NULL" || name.starts_with("TLS_") || name.starts_with("SIG");
        let is_constant = is_constant && name.len() > 3 && is_end(&quoted(after));
        is_constant.then(|| between(prefix, &format!("Dv {name}"), after))
    }

    /// A text as lines of mdoc.
    pub(crate) fn text(&self, text: &str) -> String {
        let (mut lines, mut line): (Vec<String>, String) = (Vec::new(), String::new());
        for word in text.split_whitespace() {
            if let Some(call) = self.reference(word) {
                lines.extend((!line.is_empty()).then(|| std::mem::take(&mut line)));
                lines.push(call);
                continue;
            }
            if line.len() + word.len() > 78 {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            // A quoted name that is code: shown as such.
            line += &escape(&word.replace('`', ""));
            if word.trim_end_matches([')', '"']).ends_with(['.', '?', '!']) {
                lines.push(std::mem::take(&mut line));
            }
        }
        lines.extend((!line.is_empty()).then_some(line));
        lines.join("\n") + "\n"
    }

    /// Blocks below a heading.
    pub(crate) fn blocks(&self, blocks: &[Block]) -> String {
        let mut text = String::new();
        for (number, block) in blocks.iter().enumerate() {
            match block {
                Block::Paragraph(paragraph) => {
                    text += if number > 0 { ".Pp\n" } else { "" };
                    text += &self.text(paragraph);
                }
                Block::Code(lines) => text += &literal(lines.iter().map(String::as_str)),
                Block::Bullets(items) => {
                    text += ".Bl -bullet\n";
                    for item in items {
                        text += &format!(".It\n{}", self.text(item));
                    }
                    text += ".El\n";
                }
                Block::Terms(terms) => {
                    let compact = if number > 0 { "\n.Pp" } else { "" };
                    let width = terms.iter().map(|(term, _)| term.len()).max().unwrap_or(0);
                    text += compact.trim_start();
                    text += if compact.is_empty() { "" } else { "\n" };
                    text += &format!(".Bl -tag -compact -width {}\n", "x".repeat(width));
                    for (term, meaning) in terms {
                        text += &format!(".It {}\n{}", argument(term), self.text(meaning));
                    }
                    text += ".El\n";
                }
                Block::Table(rows) => text += &self.table(rows),
            }
        }
        text
    }

    /// A table as a list: what is in the first column, and the titles with the
    /// other cells as a sentence, because rows are wider than a terminal.
    fn table(&self, rows: &[Vec<String>]) -> String {
        let (titles, rows) = rows.split_first().expect("a table has titles");
        let mut text = String::from(".Bl -tag -width Ds\n");
        for row in rows {
            let cells = titles.iter().zip(row).skip(1).filter(|(_, cell)| *cell != "-");
            let said = cells.map(|(title, cell)| format!("{title}: {cell}"));
            let said = said.collect::<Vec<_>>().join("; ");
            let (first, rest) = said.split_at(1);
            text += &format!(".It {}\n", argument(&row[0]));
            text += &self.text(&format!("{}{rest}.", first.to_uppercase()));
        }
        text + ".El\n"
    }
}

/// Lines as they are.
pub(crate) fn literal<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: String = lines.map(|line| code(line) + "\n").collect();
    format!(".Bd -literal -offset indent\n{lines}.Ed\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names<'static> {
        let functions = BTreeSet::from(["tls_get", "tls_set"]);
        Names { functions, own: "tls_set", parameters: vec!["value"] }
    }

    #[test]
    fn what_a_text_names_becomes_a_macro() {
        for (text, mdoc) in [
            ("see tls_get(),", "see\n.Xr tls_get 3 ,\n"),
            ("(tls_get()).", ".Xr ( tls_get 3 ) .\n"),
            ("tls_set() and fork()'s", ".Fn tls_set\nand\n.Fn fork Ns \\(aqs\n"),
            ("(tls_get)(key)", "(tls_get)(key)\n"),
            ("tls_get, write(2)", ".Xr tls_get 3 ,\n.Xr write 2\n"),
            ("NULL; \"TLS_OK\".", ".Dv NULL ;\n.Pf \\(dq Dv TLS_OK Ns \\(dq.\n"),
            ("TLS_KEY_* of `value`, `user`", ".Dv TLS_KEY_*\nof\n.Fa value ,\n.Va user\n"),
        ] {
            assert_eq!(names().text(text), mdoc, "{text}");
        }
    }

    #[test]
    fn no_text_is_taken_for_a_command() {
        let names = names();
        assert_eq!(names.text(".so x. 'y -z a->b c\\d"), "\\&.so x.\n\\&'y \\-z a\\->b c\\ed\n");
        assert_eq!(code(".x - 'a' \\n"), "\\&.x \\- \\(aqa\\(aq \\en");
        assert_eq!(argument("No"), "\\&No");
        assert_eq!(argument("."), "\\&.");
        assert_eq!(argument("int (*f)(void *x)"), "\"int (*f)(void *x)\"");
        assert_eq!(argument("a \"b\""), "\"a \\(dqb\\(dq\"");
    }

    #[test]
    fn lists_and_code_are_blocks() {
        let code = Block::Code(vec!["a - b".to_owned()]);
        let text = names().blocks(&[Block::Paragraph("x".to_owned()), code]);
        assert_eq!(text, "x\n.Bd -literal -offset indent\na \\- b\n.Ed\n");
        let table = [["made by", "ended by", "or by"], ["a", "b", "-"]];
        let table = table.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        let text = names().blocks(&[Block::Table(table)]);
        assert_eq!(text, ".Bl -tag -width Ds\n.It a\nEnded by: b.\n.El\n");
    }
}
