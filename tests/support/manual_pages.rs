// SPDX-License-Identifier: MIT OR Apache-2.0
//! The man pages: one for each function, and threadlocalmap(7) with the rest.
//!
//! 1. Every item of the header is on a page: a function on its own; a type on
//!    the page of the function that makes it, or first takes it, with a link
//!    under its own name; a constant in threadlocalmap(7), and on the pages of
//!    the types whose texts name it.
//! 2. Pages depend on the header and the version alone, so that a difference
//!    from the committed ones is a difference of the header.

use std::collections::{BTreeMap, BTreeSet};

use super::manual::{callback_parameters, Item, Kind, Manual, Parameter};
use super::manual_mdoc::{argument, literal, Names};

/// Of all pages: when their form last changed.
const DATE: &str = "November 29, 2026";

/// Pages by their paths below a folder of man pages.
pub(crate) type Pages = BTreeMap<String, Page>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Text(String),
    /// A symbolic link to another page of the same section.
    Link(String),
}

impl Page {
    pub(crate) fn text(&self) -> &str {
        match self {
            Page::Text(text) => text,
            Page::Link(_) => "",
        }
    }
}

pub(crate) fn pages(manual: &Manual, version: &str) -> Pages {
    let mut pages = Pages::new();
    let seven = Page::Text(overview(manual, version));
    pages.insert("man7/threadlocalmap.7".to_owned(), seven);
    let homes = homes(manual);
    for (item, _) in manual.functions() {
        let types = homes.iter().filter(|(_, home)| **home == item.name);
        let types: BTreeSet<&str> = types.map(|(name, _)| *name).collect();
        let page = function_page(manual, item, &types, version);
        pages.insert(format!("man3/{}.3", item.name), Page::Text(page));
    }
    for (name, home) in homes {
        pages.insert(format!("man3/{name}.3"), Page::Link(format!("{home}.3")));
    }
    pages
}

/// Whether the code has the name as a word.
fn names(code: &str, name: &str) -> bool {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name)
}

/// Which function's page each type is on.
fn homes(manual: &Manual) -> BTreeMap<&str, &str> {
    let types: Vec<&Item> = manual
        .items()
        .filter(|item| matches!(item.kind, Kind::Type | Kind::Structure(_)))
        .collect();
    let mut homes = BTreeMap::new();
    for item in &types {
        // A structure that has the type as a member takes it along.
        let holder = |other: &&&Item| other.name != item.name && names(&other.code, &item.name);
        let is_callback = item.code.contains("(*");
        let structure =
            types.iter().filter(holder).find(|other| is_callback && other.code.contains('{'));
        let wanted = structure.map_or(&item.name, |structure| &structure.name);
        let gives = |function: &Item| {
            let out = function.comment.parameters.iter().filter(|p| p.direction.contains("out"));
            let outs: Vec<&str> = out.map(|p| p.name.as_str()).collect();
            let Kind::Function(declaration) = &function.kind else { return false };
            declaration
                .parameters
                .iter()
                .zip(declaration.parameter_names())
                .any(|(code, name)| outs.contains(&name) && names(code, wanted))
        };
        let mut functions = manual.functions().map(|(item, _)| item);
        let home = functions.find(|function| gives(function)).or_else(|| {
            let mut functions = manual.functions().map(|(item, _)| item);
            functions.find(|function| names(&function.code, wanted))
        });
        let home = home.unwrap_or_else(|| panic!("no function has a {wanted}"));
        homes.insert(item.name.as_str(), home.name.as_str());
    }
    homes
}

/// Up to the library. A page has the names of the types that are on it, too, so
/// that `man -k` finds them.
fn prologue(names: &[&str], section: u8, brief: &str, version: &str) -> String {
    let mut brief = brief.trim_end_matches('.').replace('`', "");
    // As in a list of pages: no capital, unless it is one of a name.
    if brief.chars().nth(1).is_some_and(|second| second.is_ascii_lowercase() || second == ' ') {
        brief[..1].make_ascii_lowercase();
    }
    let title = names[0].to_uppercase();
    let names = names.join(" ,\n.Nm ");
    let words: Vec<String> = brief.split_whitespace().map(argument).collect();
    format!(
        ".\\\" Written by `make manual` from include/threadlocalmap.h. Do not edit.\n\
         .\\\" SPDX-License-Identifier: MIT OR Apache-2.0\n\
         .Dd {DATE}\n.Dt {title} {section}\n.Os threadlocalmap {version}\n\
         .Sh NAME\n.Nm {names}\n.Nd {}\n",
        words.join(" ")
    )
}

fn function_page(manual: &Manual, item: &Item, types: &BTreeSet<&str>, version: &str) -> String {
    let Kind::Function(declaration) = &item.kind else { panic!("{} is no function", item.name) };
    let functions: BTreeSet<&str> =
        manual.functions().map(|(item, _)| item.name.as_str()).collect();
    let names = Names { functions, own: &item.name, parameters: declaration.parameter_names() };
    let comment = &item.comment;
    let mut on_page = vec![item.name.as_str()];
    on_page
        .extend(manual.items().map(|item| item.name.as_str()).filter(|name| types.contains(name)));
    let mut page = prologue(&on_page, 3, &comment.brief, version);
    page += ".Sh LIBRARY\nthreadlocalmap (libthreadlocalmap, \\-lthreadlocalmap)\n";
    page += ".Sh SYNOPSIS\n.In threadlocalmap.h\n";
    page += &format!(".Ft {}\n.Fo {}\n", argument(&declaration.result), item.name);
    for parameter in &declaration.parameters {
        // As several arguments, between which there are commas, a long one can be broken.
        let parts: Vec<String> = parameter.split(", ").map(argument).collect();
        page += &format!(".Fa {}\n", parts.join(" "));
    }
    page += if declaration.parameters.is_empty() { ".Fa void\n.Fc\n" } else { ".Fc\n" };
    page += &format!(".Sh DESCRIPTION\n{}", names.text(&comment.brief));
    if !comment.body.is_empty() {
        page += &format!(".Pp\n{}", names.blocks(&comment.body));
    }
    page += &parameters_list(item, &names);
    page += &types_of(manual, types, &names);
    if let Some(returns) = &comment.returns {
        page += ".Sh RETURN VALUES\n";
        page += &names.text(&returns.replace("an error code:", "an error code."));
    }
    if !comment.codes.is_empty() {
        page += ".Sh ERRORS\n.Bl -tag -width Ds\n";
        for (code, text) in &comment.codes {
            page += &format!(".It Bq Er {code}\n{}", names.text(text));
        }
        page += ".El\n";
    }
    page += ".Sh ATTRIBUTES\n.Bl -tag -compact -width Threads\n";
    for (fact, text) in &comment.facts {
        page += &format!(".It {fact}\n{}", names.text(&sentence(text, &names.parameters)));
    }
    page += ".El\n.Pp\n";
    page += &names.text("What these say is explained in the section CONVENTIONS of");
    page += ".Xr threadlocalmap 7 .\n";
    page += &see_also(manual, item, &page);
    let since = comment.since.as_deref().unwrap_or(version);
    page += &format!(".Sh HISTORY\n.Fn {}\nfirst appeared in threadlocalmap {since}.\n", item.name);
    page
}

/// With a capital, unless a parameter's name comes first.
fn sentence(text: &str, parameters: &[&str]) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = text.split(|c| !is_word(c)).next().unwrap_or_default();
    let is_name = parameters.contains(&first) || first.contains('_');
    let mut text = text.to_owned();
    if !is_name {
        text[..1].make_ascii_uppercase();
    }
    text
}

fn parameters_list(item: &Item, names: &Names) -> String {
    let parameters = &item.comment.parameters;
    if parameters.is_empty() {
        return String::new();
    }
    let length = |parameter: &Parameter| parameter.name.len() + parameter.direction.len();
    let width = parameters.iter().map(length).max().unwrap_or(0);
    let lead = if parameters.len() == 1 { "The parameter is:" } else { "The parameters are:" };
    let mut list = format!(".Pp\n{lead}\n.Bl -tag -width {}\n", "x".repeat(width + 4));
    for parameter in parameters {
        let direction = match parameter.direction.as_str() {
            "" => String::new(),
            direction => format!(" Bq {direction}"),
        };
        list += &format!(".It Fa {}{direction}\n", argument(&parameter.name));
        list += &names.text(&parameter.text);
    }
    list + ".El\n"
}

/// The types that belong on a page, and the constants that their texts name.
fn types_of(manual: &Manual, types: &BTreeSet<&str>, names: &Names) -> String {
    let mut text = String::new();
    let items = || manual.items().filter(|item| types.contains(item.name.as_str()));
    for item in items() {
        text += &format!(".Ss {}\n{}", item.name, names.text(&item.comment.brief));
        if !item.comment.body.is_empty() {
            text += &format!(".Pp\n{}", names.blocks(&item.comment.body));
        }
        if let Kind::Structure(members) = &item.kind {
            text += ".Pp\nIts members are:\n.Bl -tag -width Ds\n";
            for (code, meaning) in members {
                text += &format!(".It Vt {}\n{}", argument(code), names.text(meaning));
            }
            text += ".El\n";
        } else {
            text += &literal(item.code.lines());
            let known = Names {
                functions: names.functions.clone(),
                own: names.own,
                parameters: item.comment.parameters.iter().map(|p| p.name.as_str()).collect(),
            };
            assert_eq!(known.parameters.len(), callback_parameters(&item.code).len());
            text += &parameters_list(item, &known);
            if let Some(returns) = &item.comment.returns {
                text += &format!(".Pp\nIt returns\n{}", names.text(returns));
            }
        }
    }
    let said: String = items().map(said_of_type).collect();
    let constants = manual.items().filter(|item| is_said(item, &said));
    let constants: Vec<&Item> = constants.collect();
    if !constants.is_empty() {
        text += &format!(".Ss Constants\n{}", constants_list(&constants, names));
    }
    text
}

/// Everything that a type's comments say.
fn said_of_type(item: &Item) -> String {
    let parameters = item.comment.parameters.iter().map(|parameter| parameter.text.as_str());
    let mut said: Vec<&str> = parameters.collect();
    if let Kind::Structure(members) = &item.kind {
        said.extend(members.iter().map(|(_, text)| text.as_str()));
    }
    said.join(" ") + " "
}

/// Whether a text names a constant, alone or as `TLS_KEY_*`.
fn is_said(item: &Item, said: &str) -> bool {
    let Kind::Constant(_) = item.kind else { return false };
    let words = said.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '*');
    words.filter(|word| word.starts_with("TLS_")).any(|word| match word.strip_suffix('*') {
        Some(prefix) => item.name.starts_with(prefix) && item.name != "TLS_KEY_NONE",
        None => item.name == word,
    })
}

fn constants_list(constants: &[&Item], names: &Names) -> String {
    let mut list = String::from(".Bl -tag -width Ds\n");
    for item in constants {
        let Kind::Constant(value) = &item.kind else { continue };
        let inner = value.strip_prefix('(').and_then(|value| value.strip_suffix(')'));
        list += &format!(".It Dv {} Pq {}\n", item.name, argument(inner.unwrap_or(value)));
        list += &names.text(&item.comment.brief);
        list += &names.blocks(&item.comment.body);
    }
    list + ".El\n"
}

/// The functions of the same group, and those that the page names.
fn see_also(manual: &Manual, item: &Item, page: &str) -> String {
    let is_mine = |other: &&Item| other.name == item.name;
    let group = manual.groups.iter().find(|group| group.items.iter().any(|item| is_mine(&item)));
    let group = group.expect("every function is in a group");
    let functions = group.items.iter().filter(|item| matches!(item.kind, Kind::Function(_)));
    let mut pages: BTreeSet<(&str, &str)> =
        functions.map(|item| ("3", item.name.as_str())).collect();
    pages.insert(("7", "threadlocalmap"));
    let mut words = page.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let refers = word == ".Xr" || word == "Xr";
        if let Some(name) = words.peek().filter(|_| refers) {
            let name = if *name == "(" { words.nth(1).unwrap_or_default() } else { name };
            let section =
                if manual.functions().any(|(item, _)| item.name == name) { "3" } else { "2" };
            if name != "threadlocalmap" {
                pages.insert((section, name));
            }
        }
    }
    pages.remove(&("3", item.name.as_str()));
    let last = pages.len() - 1;
    let page = |(number, (section, name)): (usize, &(&str, &str))| {
        format!(".Xr {name} {section}{}\n", if number < last { " ," } else { "" })
    };
    ".Sh SEE ALSO\n".to_owned() + &pages.iter().enumerate().map(page).collect::<String>()
}

fn overview(manual: &Manual, version: &str) -> String {
    let functions: BTreeSet<&str> =
        manual.functions().map(|(item, _)| item.name.as_str()).collect();
    let names = Names { functions, own: "", parameters: Vec::new() };
    let mut page = prologue(&["threadlocalmap"], 7, &manual.title, version);
    page += ".Sh SYNOPSIS\n.In threadlocalmap.h\n.Sh DESCRIPTION\n";
    page += &names.blocks(&manual.introduction);
    page += ".Pp\nThe functions, by their sections of the header:\n";
    for group in &manual.groups {
        page += &format!(".Ss {}\n{}", group.title, names.blocks(&group.text));
        page += ".Pp\n.Bl -tag -width Ds -compact\n";
        for item in group.items.iter().filter(|item| matches!(item.kind, Kind::Function(_))) {
            page += &format!(".It Xr {} 3\n{}", item.name, names.text(&item.comment.brief));
        }
        page += ".El\n";
    }
    for chapter in &manual.chapters {
        page += &format!(".Sh {}\n{}", chapter.title, names.blocks(&chapter.blocks));
    }
    page += ".Sh CONSTANTS\n";
    for group in &manual.groups {
        let constants = group.items.iter().filter(|item| matches!(item.kind, Kind::Constant(_)));
        let constants: Vec<&Item> = constants.collect();
        if !constants.is_empty() {
            page += &format!(".Ss Constants: {}\n", group.title.to_lowercase());
            page += &constants_list(&constants, &names);
        }
    }
    page += ".Sh SEE ALSO\n.Xr pthread_key_create 3 ,\n.Xr pthreads 7\n";
    page + &format!(".Sh HISTORY\nThis page describes threadlocalmap {version}.\n")
}
