// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manual: what the header says, as a structure.
//!
//! The header is read, and not the Rust sources, because it has everything in
//! its order: the head with its chapters, then groups of declarations, each
//! with its comment. The man pages ([`super::manual_pages`]) and the HTML site
//! are written from it, so that no text stands in two places.
//!
//! 1. Every text of the header is in the structure, or reading it panics: a
//!    line that no rule fits is an error and is not left out.
//! 2. Texts are as the header has them; what is special in roff or Markdown is
//!    the matter of those who write these.

use super::declarations::{declared_name, function, parameters, Declaration};

/// A piece of text with a form of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Paragraph(String),
    /// Lines of code, without the indent.
    Code(Vec<String>),
    Bullets(Vec<String>),
    /// Terms with their meanings.
    Terms(Vec<(String, String)>),
    /// Rows of cells, the titles first.
    Table(Vec<Vec<String>>),
}

/// A chapter of the header's head.
#[derive(Debug)]
pub(crate) struct Chapter {
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

/// The declarations under one heading.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its name in Doxygen.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) text: Vec<Block>,
    pub(crate) items: Vec<Item>,
}

/// One declaration with its comment.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) code: String,
    pub(crate) comment: Comment,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Function(Declaration),
    /// A macro, with its value.
    Constant(String),
    /// A structure's members: the declaration, and what it says.
    Structure(Vec<(String, String)>),
    /// Any other type.
    Type,
}

/// What a comment says, by its tags.
#[derive(Debug, Default)]
pub(crate) struct Comment {
    /// The first sentence.
    pub(crate) brief: String,
    pub(crate) body: Vec<Block>,
    pub(crate) parameters: Vec<Parameter>,
    /// Threads, Blocks, Runs and Signals.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) returns: Option<String>,
    pub(crate) codes: Vec<(String, String)>,
    pub(crate) since: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// `out`, `in,out`, or nothing.
    pub(crate) direction: String,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Manual {
    pub(crate) title: String,
    pub(crate) introduction: Vec<Block>,
    pub(crate) chapters: Vec<Chapter>,
    pub(crate) groups: Vec<Group>,
}

const FACTS: [&str; 4] = ["Threads", "Blocks", "Runs", "Signals"];

impl Manual {
    pub(crate) fn read(header: &str) -> Self {
        let mut paragraphs = header.split("\n\n").map(str::trim_end);
        let first = paragraphs.next().expect("the header has a head");
        let lines = comment_lines(first);
        let title = lines.iter().find_map(|line| line.strip_prefix("threadlocalmap.h - "));
        let title = title.expect("the head says what the header is for").trim_end_matches('.');
        let start = lines.iter().position(|line| line.starts_with("SPDX-")).expect("a licence");
        let chapters = paragraphs.next().expect("chapters follow the head");
        let mut manual = Manual {
            title: title.to_owned(),
            introduction: blocks(&lines[start + 1..]),
            chapters: read_chapters(&comment_lines(chapters)),
            groups: Vec::new(),
        };
        for paragraph in paragraphs {
            if paragraph.starts_with("/**\n * @defgroup ") {
                manual.groups.push(read_group(&comment_lines(paragraph)));
            } else if paragraph.starts_with("/**") && !paragraph.ends_with("*/") {
                let group = manual.groups.last_mut().expect("a declaration is in a group");
                group.items.push(read_item(paragraph));
            }
        }
        manual
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.groups.iter().flat_map(|group| &group.items)
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = (&Item, &Declaration)> {
        self.items().filter_map(|item| match &item.kind {
            Kind::Function(declaration) => Some((item, declaration)),
            _ => None,
        })
    }
}

/// The lines of a comment without its frame.
fn comment_lines(comment: &str) -> Vec<&str> {
    let comment = comment.trim_start().trim_start_matches('/').trim_start_matches('*');
    let comment = comment.strip_suffix("*/").unwrap_or(comment);
    let without_star = |line: &'_ str| {
        let indented = line.trim_start();
        let length = indented.strip_prefix("* ").or(indented.strip_prefix('*')).map(str::len);
        line.len() - length.unwrap_or(line.len())
    };
    let mut lines: Vec<&str> = comment.lines().map(|line| &line[without_star(line)..]).collect();
    lines.first_mut().into_iter().for_each(|line| *line = line.trim_start());
    let is_empty = |line: &&str| line.trim().is_empty();
    while lines.first().is_some_and(is_empty) {
        lines.remove(0);
    }
    while lines.last().is_some_and(is_empty) {
        lines.pop();
    }
    lines.into_iter().map(str::trim_end).collect()
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Paragraphs, bullets and code, which are divided by empty lines.
fn blocks(lines: &[&str]) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    for lines in lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty()) {
        let code = |lines: &[&str]| lines.iter().map(|line| line[4..].to_owned()).collect();
        if lines.iter().all(|line| line.starts_with("    ")) {
            match found.last_mut() {
                Some(Block::Code(before)) => {
                    before.push(String::new());
                    before.extend::<Vec<String>>(code(lines));
                }
                _ => found.push(Block::Code(code(lines))),
            }
        } else if lines[0].starts_with("* ") {
            let mut items: Vec<Vec<&str>> = Vec::new();
            for line in lines {
                match line.strip_prefix("* ") {
                    Some(first) => items.push(vec![first]),
                    None => items.last_mut().expect("a bullet came first").push(line),
                }
            }
            found.push(Block::Bullets(items.iter().map(|item| joined(item)).collect()));
        } else {
            found.push(Block::Paragraph(joined(lines)));
        }
    }
    found
}

/// Chapters have a title in capitals and texts that are indented by two.
fn read_chapters(lines: &[&str]) -> Vec<Chapter> {
    let mut chapters: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in lines {
        match line.strip_prefix("  ") {
            None if !line.is_empty() => chapters.push((line, Vec::new())),
            text => chapters.last_mut().expect("a title").1.push(text.unwrap_or_default()),
        }
    }
    let chapter = |(title, lines): (&str, Vec<&str>)| {
        assert_eq!(title, title.to_uppercase(), "a line of the head is not indented");
        let parts = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
        Chapter { title: title.to_owned(), blocks: parts.flat_map(chapter_blocks).collect() }
    };
    chapters.into_iter().map(chapter).collect()
}

/// Where the cells of a line begin: at its start, and after several blanks.
fn cells(line: &str) -> Vec<usize> {
    let is_start =
        |at: &usize| *at == 0 || line[..*at].ends_with("  ") && &line[*at..*at + 1] != " ";
    (0..line.len()).filter(is_start).collect()
}

/// Sentences, and then terms or a table. What continues is indented.
fn chapter_blocks(lines: &[&str]) -> Vec<Block> {
    if cells(lines[0]).len() > 2 {
        return vec![Block::Table(rows(lines))];
    }
    let is_term = |line: &&str| cells(line).len() == 2;
    let prose = lines.iter().position(is_term).unwrap_or(lines.len());
    let mut found = Vec::new();
    if prose > 0 {
        assert!(lines[..prose].iter().all(|line| !line.starts_with(' ')), "{lines:?}");
        found.push(Block::Paragraph(joined(&lines[..prose])));
    }
    let mut terms: Vec<(String, String)> = Vec::new();
    for line in &lines[prose..] {
        match cells(line)[..] {
            [0, text] if !line.starts_with(' ') => {
                terms.push((line[..text].trim().to_owned(), line[text..].to_owned()));
            }
            _ => {
                assert!(line.starts_with("   "), "neither a term nor more of one: {line}");
                let (_, text) = terms.last_mut().expect("a term came first");
                *text += &format!(" {}", line.trim());
            }
        }
    }
    found.extend((!terms.is_empty()).then_some(Block::Terms(terms)));
    found
}

/// Rows with cells where the titles are; a line that is indented continues a row.
fn rows(lines: &[&str]) -> Vec<Vec<String>> {
    let starts = cells(lines[0]);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in lines {
        let cell = |(number, start): (usize, &usize)| {
            let end = starts.get(number + 1).map_or(line.len(), |end| (*end).min(line.len()));
            line.get(*start..end).unwrap_or_default().trim().to_owned()
        };
        let row: Vec<String> = starts.iter().enumerate().map(cell).collect();
        match rows.last_mut().filter(|_| line.starts_with(' ')) {
            None => rows.push(row),
            Some(before) => {
                for (cell, more) in before.iter_mut().zip(row) {
                    *cell = format!("{cell} {more}").trim_end().to_owned();
                }
            }
        }
    }
    rows
}

fn read_group(lines: &[&str]) -> Group {
    let heading = lines[0].strip_prefix("@defgroup ").expect("it begins so");
    let (name, title) = heading.split_once(' ').expect("a group has a title");
    let end = lines.iter().position(|line| *line == "@{").expect("the group is opened");
    let (name, title) = (name.to_owned(), title.to_owned());
    Group { name, title, text: blocks(&lines[1..end]), items: Vec::new() }
}

fn read_item(paragraph: &str) -> Item {
    let (comment, code) = paragraph.split_once("*/\n").expect("a comment, then code");
    let comment = read_comment(&comment_lines(&format!("{comment}*/")));
    let (name, kind) = if let Some(define) = code.strip_prefix("#define ") {
        let (name, value) = define.split_once(' ').expect("a macro has a value");
        (name.to_owned(), Kind::Constant(value.trim().to_owned()))
    } else if code.starts_with("typedef struct") && code.contains('{') {
        let name = code.trim_end_matches(';').rsplit(' ').next().expect("it has a name");
        (name.to_owned(), Kind::Structure(members(code)))
    } else if let Some(code) = code.strip_prefix("typedef ") {
        (declared_name(code.trim_end_matches(';')).to_owned(), Kind::Type)
    } else {
        let declaration = function(code, "").expect("nothing but functions is left");
        (declaration.name.clone(), Kind::Function(declaration))
    };
    Item { name, code: code.to_owned(), comment, kind }
}

/// Each member is a comment, and then a declaration on a line.
fn members(code: &str) -> Vec<(String, String)> {
    let body = &code[code.find('{').expect("it is there") + 1..code.rfind('}').expect("too")];
    let parts: Vec<&str> = body.split("/**").skip(1).collect();
    let member = |part: &&str| {
        let (comment, declaration) = part.split_once("*/").expect("the comment is closed");
        let text = joined(&comment_lines(comment));
        (declaration.trim().trim_end_matches(';').to_owned(), text)
    };
    parts.iter().map(member).collect()
}

fn read_comment(lines: &[&str]) -> Comment {
    let mut comment = Comment::default();
    let start = |line: &&str| line.starts_with('@') || line.starts_with("Threads: ");
    let text = lines.iter().position(start).unwrap_or(lines.len());
    let mut body = blocks(&lines[..text]);
    let Block::Paragraph(first) = body.remove(0) else { panic!("no sentence first: {lines:?}") };
    // A sentence ends where a blank follows; the rest belongs to the body.
    let end = first.find(". ").map_or(first.len(), |at| at + 1);
    comment.brief = first[..end].to_owned();
    if end < first.len() {
        body.insert(0, Block::Paragraph(first[end..].trim().to_owned()));
    }
    comment.body = body;
    let mut tags: Vec<String> = Vec::new();
    for line in lines[text..].iter().filter(|line| !line.is_empty()) {
        match tags.last_mut() {
            Some(tag) if !start(line) => *tag += &format!(" {}", line.trim()),
            _ => tags.push((*line).to_owned()),
        }
    }
    for tag in tags {
        read_tag(&mut comment, &tag);
    }
    comment
}

fn read_tag(comment: &mut Comment, tag: &str) {
    let (word, rest) = tag.split_once(' ').expect("a tag has a text");
    let named = || {
        let (name, text) = rest.split_once(' ').expect("a name has a text");
        (name.to_owned(), text.to_owned())
    };
    match word {
        "@return" => comment.returns = Some(rest.to_owned()),
        "@retval" => comment.codes.push(named()),
        "@since" => comment.since = Some(rest.to_owned()),
        "Threads:" => comment.facts = read_facts(tag),
        _ => {
            let direction = word.strip_prefix("@param").unwrap_or_else(|| panic!("{word}?"));
            let direction = direction.trim_matches(['[', ']']).to_owned();
            let (name, text) = named();
            comment.parameters.push(Parameter { name, direction, text });
        }
    }
}

/// `Threads: any. Blocks: no. ...`, each up to the next.
fn read_facts(text: &str) -> Vec<(&'static str, String)> {
    let at = FACTS.map(|fact| text.find(&format!("{fact}: ")).expect("every fact is there"));
    let fact = |number: usize| {
        let end = at.get(number + 1).copied().unwrap_or(text.len());
        let start = at[number] + FACTS[number].len() + 2;
        (FACTS[number], text[start..end].trim().to_owned())
    };
    (0..FACTS.len()).map(fact).collect()
}

/// The parameters of a callback's type.
pub(crate) fn callback_parameters(code: &str) -> Vec<String> {
    code.split_once(")(").map(|(_, list)| parameters(list)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "/**\n * @file\n * threadlocalmap.h - maps.\n *\n * SPDX-x\n *\n * Intro.\n *\n\
        \x20*     code -1\n *\n *     more\n */\n\n/*\n * WORDS\n *   key    a word\n *          of two lines\n\
        \x20*   The rest:\n *\n * OWNERS\n *   made by  ended by  or by\n *   a, b     c, d      -\n\
        \x20*     e        f\n */\n\n/*==\n * KEYS\n *==*/\n\n/**\n * @defgroup tls_keys Keys\n *\n * Text.\n\
        \x20* @{\n */\n\n/** Zero. */\n#define TLS_Z ((t)0)\n\n/** S. More. */\ntypedef struct s {\n\
        \x20 /** A size. */\n  size_t size;\n  /**\n   * A\n   * function.\n   */\n  void (*f)(void *x);\n} s;\n\n\
        /**\n * Does it. At once.\n *\n * * one\n *   item\n * * two\n *\n * @param[out] k The\n *   key.\n *\n\
        \x20* Threads: any. Blocks:\n * no. Runs: x. Signals: safe.\n * @return T or:\n * @retval TLS_Z None.\n\
        \x20* @since 1\n */\nint f(t *k);\n\n/** @} */\n";

    #[test]
    fn every_part_of_a_header_is_found() {
        let manual = Manual::read(&HEADER.replace(" *   The rest:\n", ""));
        assert_eq!(manual.title, "maps");
        let code = ["code -1", "", "more"].map(str::to_owned).to_vec();
        assert_eq!(manual.introduction[1], Block::Code(code));
        let term = ("key".to_owned(), "a word of two lines".to_owned());
        assert_eq!(manual.chapters[0].blocks, [Block::Terms(vec![term])]);
        let Block::Table(rows) = &manual.chapters[1].blocks[0] else { panic!("a table") };
        assert_eq!(rows[1], ["a, b e", "c, d f", "-"]);
        let [constant, structure, function] = &manual.groups[0].items[..] else { panic!("items") };
        assert!(matches!(&constant.kind, Kind::Constant(value) if value == "((t)0)"));
        let Kind::Structure(members) = &structure.kind else { panic!("a structure") };
        assert_eq!(members[1], ("void (*f)(void *x)".to_owned(), "A function.".to_owned()));
        let comment = &function.comment;
        assert_eq!((function.name.as_str(), comment.brief.as_str()), ("f", "Does it."));
        let bullets = Block::Bullets(vec!["one item".to_owned(), "two".to_owned()]);
        assert_eq!(comment.body, [Block::Paragraph("At once.".to_owned()), bullets]);
        assert_eq!(comment.parameters[0].text, "The key.");
        assert_eq!(comment.parameters[0].direction, "out");
        assert_eq!(comment.facts[1], ("Blocks", "no.".to_owned()));
        assert_eq!(comment.codes, [("TLS_Z".to_owned(), "None.".to_owned())]);
    }

    #[test]
    #[should_panic = "neither a term nor more of one"]
    fn a_line_that_fits_nowhere_is_an_error() {
        Manual::read(HEADER);
    }
}
