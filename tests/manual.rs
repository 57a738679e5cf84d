// SPDX-License-Identifier: MIT OR Apache-2.0
//! The man pages: that they are what the header says, and are well formed. The
//! HTML site: that Doxygen makes it without a warning, that its links and its
//! search work, and that all of the C and the C++ headers is in it.
//!
//! `make manual` (`THREADLOCALMAP_WRITE_MANUAL=1 cargo test --test manual`)
//! writes `docs/man` anew from `include/threadlocalmap.h`. `make docs` has the
//! site made in the folder that `THREADLOCALMAP_SITE` names.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::manual::{Kind, Manual};
use support::manual_pages::{pages, Page, Pages};
use support::{manual_cpp, manual_site, process, scratch, source_root};

fn folder() -> PathBuf {
    source_root().join("docs/man")
}

fn manual() -> Manual {
    let header = fs::read_to_string(source_root().join("include/threadlocalmap.h"));
    Manual::read(&header.expect("the header is there"))
}

fn generated() -> Pages {
    pages(&manual(), env!("CARGO_PKG_VERSION"))
}

/// The pages as they lie in `docs/man`.
fn committed() -> Pages {
    let mut found = Pages::new();
    for section in ["man3", "man7"] {
        for entry in fs::read_dir(folder().join(section)).into_iter().flatten() {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            let page = match fs::read_link(&path) {
                Ok(target) => Page::Link(target.display().to_string()),
                Err(_) => Page::Text(fs::read_to_string(&path).expect("a page is text")),
            };
            found.insert(format!("{section}/{name}"), page);
        }
    }
    found
}

fn write(pages: &Pages) {
    for path in committed().keys() {
        fs::remove_file(folder().join(path)).expect("a page can be removed");
    }
    for (path, page) in pages {
        let path = folder().join(path);
        fs::create_dir_all(path.parent().expect("below docs/man")).expect("it can be made");
        match page {
            Page::Text(text) => fs::write(path, text).expect("a page can be written"),
            Page::Link(target) => symlink(target, path).expect("a link can be made"),
        }
    }
}

#[test]
fn the_man_pages_are_what_the_header_says() {
    let generated = generated();
    if env::var_os("THREADLOCALMAP_WRITE_MANUAL").is_some_and(|value| value == "1") {
        return write(&generated);
    }
    let committed = committed();
    let paths: BTreeSet<&String> = generated.keys().chain(committed.keys()).collect();
    let differ = |path: &&&String| generated.get(**path) != committed.get(**path);
    let different: Vec<_> = paths.iter().filter(differ).collect();
    assert!(
        different.is_empty(),
        "docs/man is not what the header says: `make manual` writes it anew: {different:?}"
    );
}

#[test]
fn everything_that_the_header_declares_has_a_page() {
    let (manual, pages) = (manual(), generated());
    let overview = pages["man7/threadlocalmap.7"].text();
    let mut found = 0;
    for item in manual.items() {
        found += 1;
        let page = pages.get(&format!("man3/{}.3", item.name));
        match &item.kind {
            Kind::Constant(_) => {
                let entry = format!(".It Dv {} Pq ", item.name);
                assert!(overview.contains(&entry), "threadlocalmap(7) has no {}", item.name);
            }
            Kind::Function(_) => {
                let page = page.unwrap_or_else(|| panic!("{} has no page", item.name)).text();
                for part in ["SYNOPSIS", "DESCRIPTION", "ATTRIBUTES", "SEE ALSO", "HISTORY"] {
                    assert!(page.contains(&format!(".Sh {part}\n")), "{}: {part}", item.name);
                }
                for (code, _) in &item.comment.codes {
                    assert!(page.contains(&format!(".It Bq Er {code}\n")), "{}: {code}", item.name);
                }
                let entry = format!(".It Xr {} 3\n", item.name);
                assert!(overview.contains(&entry), "threadlocalmap(7) has no {}", item.name);
            }
            _ => {
                let Some(Page::Link(home)) = page else { panic!("{} has no link", item.name) };
                let home = pages[&format!("man3/{home}")].text();
                for part in [format!(".Ss {}\n", item.name), format!(".Nm {}", item.name)] {
                    assert!(home.contains(&part), "{part} is not on the page of {}", item.name);
                }
            }
        }
    }
    assert!(found > 100, "only {found} declarations found");
}

/// Of every page that a page refers to, the section 3 ones are there.
#[test]
fn every_page_that_is_referred_to_is_there() {
    let pages = generated();
    let mut found = 0;
    for (path, page) in &pages {
        for line in page.text().lines() {
            let words: Vec<&str> = line.split(' ').filter(|word| *word != "(").collect();
            let Some(at) = words.iter().position(|word| word.trim_start_matches('.') == "Xr")
            else {
                continue;
            };
            let (name, section) = (words[at + 1], words[at + 2]);
            if name.starts_with("tls_") || name == "threadlocalmap" {
                let target = format!("man{section}/{name}.{section}");
                assert!(pages.contains_key(&target), "{path} refers to {name}({section})");
                found += 1;
            }
        }
    }
    assert!(found > 300, "only {found} references found");
}

/// Whether a tool is here; if not, its check is in the summary of `make check`.
fn is_here(tool: &str, package: &str, what: &str) -> bool {
    let here = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    if here.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let skipped = format!("{what} (no {tool}: {package})");
    println!("SKIPPED: {skipped}");
    if let Some(summary) = env::var_os("SKIPS").filter(|path| !path.is_empty()) {
        let file = fs::OpenOptions::new().append(true).create(true).open(summary);
        writeln!(file.expect("the summary can be written"), "{skipped}").expect("so it can");
    }
    false
}

#[test]
fn mandoc_finds_no_fault_in_the_pages() {
    if !is_here("mandoc", "mandoc", "the form of the man pages") {
        return;
    }
    let mut command = Command::new("mandoc");
    command.args(["-Tlint", "-Wwarning"]).current_dir(folder()).args(committed().keys());
    process::output_of(&mut command);
}

// ---- The site ---------------------------------------------------------------

/// Where the site is made.
fn site_folder() -> PathBuf {
    env::var_os("THREADLOCALMAP_SITE").map_or_else(|| scratch("site"), PathBuf::from)
}

fn write_file(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().expect("below the site")).expect("a folder can be made");
    fs::write(path, text).expect("the site can be written");
}

/// Writes what Doxygen reads, and runs it.
fn make_site(folder: &Path) {
    let input = folder.join("input");
    for old in [&input, &folder.join("html")] {
        drop(fs::remove_dir_all(old));
    }
    let (root, manual) = (source_root(), manual());
    let header = fs::read_to_string(root.join("include/threadlocalmap.h"));
    let header = manual_site::with_head(&header.expect("the header is there"));
    let header = manual_site::header(&header);
    write_file(input.join("threadlocalmap.h"), &header);
    for entry in fs::read_dir(root.join("bindings/c/include")).expect("the bindings are there") {
        let path = entry.expect("they can be read").path();
        if path.is_file() {
            let text = fs::read_to_string(&path).expect("a header is text");
            let name = path.file_name().expect("it has a name");
            write_file(input.join(name), &manual_site::with_head(&text));
        }
    }
    for (path, text) in manual_cpp::headers(root) {
        let text = manual_cpp::without_private(&manual_site::with_head(&text));
        write_file(input.join(path), &text);
    }
    let pages = manual_site::pages(root);
    let mut site = manual_site::Site { root, pages: pages.clone(), copies: BTreeMap::new() };
    for (number, page) in pages.iter().enumerate() {
        let text = site.page(page);
        // Doxygen lists pages by the names of their files.
        let name = page.file_name().expect("a page has a name").to_string_lossy();
        write_file(input.join(format!("{number:02}-{name}")), &text);
    }
    write_file(input.join("02-conventions.md"), &manual_site::conventions(&manual));
    write_file(input.join("examples.dox"), &manual_site::examples(root));
    let mut command = Command::new("doxygen");
    command.arg("docs/site/Doxyfile").current_dir(root);
    command.env("THREADLOCALMAP_SITE", folder);
    command.env("THREADLOCALMAP_VERSION", env!("CARGO_PKG_VERSION"));
    process::output_of(&mut command);
    for (file, name) in site.copies {
        let bytes = fs::read(root.join(&file)).expect("it is there");
        let path = folder.join("html").join(name);
        fs::create_dir_all(path.parent().expect("below html")).expect("a folder can be made");
        fs::write(path, bytes).expect("it can be copied");
    }
}

/// What the site's pages refer to with `href` or `src`.
fn references(page: &str) -> impl Iterator<Item = &str> {
    let after =
        |attribute| page.split(attribute).skip(1).filter_map(|rest: &str| rest.split('"').next());
    after(" href=\"").chain(after(" src=\""))
}

/// The pages of the site by their paths.
fn html(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder.join("html")).expect("the site is there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path).expect("a page is text");
            found.insert(path, text);
        }
    }
    found
}

fn dead_links(folder: &Path) -> Vec<String> {
    let pages = html(folder);
    let (mut dead, mut found) = (Vec::new(), 0);
    for (path, text) in &pages {
        for link in references(text).filter(|link| !link.contains("://")) {
            found += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { path.clone() } else { folder.join("html").join(file) };
            let has = |attribute: &str| {
                pages
                    .get(&target)
                    .is_some_and(|text| text.contains(&format!(" {attribute}=\"{anchor}\"")))
            };
            let is_script = link.starts_with("javascript:");
            let is_there = target.is_file() && (anchor.is_empty() || has("id") || has("name"));
            if !is_script && !is_there {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(found > 1000, "only {found} links found");
    dead
}

/// Every file that the search reads, as one text.
fn search_index(folder: &Path) -> String {
    let entries = fs::read_dir(folder.join("html/search")).expect("the search is there");
    let files = entries.map(|entry| entry.expect("it can be read").path());
    let scripts = files.filter(|path| path.extension().is_some_and(|extension| extension == "js"));
    scripts.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
}

/// What the C++ headers declare for programs.
fn declared_in_cpp() -> manual_cpp::Declared {
    let mut declared = manual_cpp::Declared::new();
    for header in manual_cpp::headers(source_root()).values() {
        manual_cpp::declarations(header, &mut declared);
    }
    for (scope, number) in [("tls", 30), ("tls::local", 20), ("tls::map::guard", 3)] {
        let names = declared.get(scope);
        assert!(names.is_some_and(|names| names.len() >= number), "{scope}: {names:?}");
    }
    declared
}

/// As Doxygen names a file.
fn file_of(scope: &str) -> String {
    scope.replace('_', "__").replace("::", "_1_1")
}

/// What of the C++ reference is not in the site, in its list of classes or in its search.
fn missing_in_cpp(
    pages: &BTreeMap<PathBuf, String>,
    index: &str,
    declared: &manual_cpp::Declared,
) -> Vec<String> {
    let page =
        |name: &str| pages.iter().find(|(path, _)| path.ends_with(name)).map(|(_, text)| text);
    let list = page("namespaces.html").expect("the C++ reference has a list");
    let mut missing = Vec::new();
    for (scope, names) in declared {
        let file = file_of(scope);
        // All overloads of a member are in the list of all members.
        let (file, all) = match page(&format!("namespace{file}.html")) {
            Some(text) => (format!("namespace{file}.html"), Some(text)),
            None => (format!("class{file}.html"), page(&format!("class{file}-members.html"))),
        };
        let Some(all) = all.filter(|_| page(&file).is_some()) else {
            missing.push(format!("a page of {scope}"));
            continue;
        };
        if !list.contains(&format!("href=\"{file}\"")) {
            missing.push(format!("{scope} in the list"));
        }
        for (name, times) in names {
            let shown = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let found = all.matches(&format!(">{shown}</a>")).count();
            // A function of a namespace may be declared before it is defined.
            if found < if file.starts_with("class") { *times } else { 1 } {
                missing.push(format!("{scope}::{name}: {found} of {times}"));
            }
            if !index.contains(&format!("'{shown}'")) {
                missing.push(format!("{scope}::{name} in the search"));
            }
        }
    }
    missing
}

/// The pages of the C++ reference that name what is private.
fn private_in_cpp(pages: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let is_cpp = |path: &Path| {
        let name = path.file_name().expect("a page has a name").to_string_lossy();
        name.starts_with("class") || name.starts_with("namespace") || name.ends_with("_8hpp.html")
    };
    let names = ["detail::", "TLS_PRIVATE", "with_exceptions"];
    let found = pages.iter().filter(|(path, _)| is_cpp(path)).flat_map(|(path, text)| {
        let names = names.iter().filter(|name| text.contains(**name));
        names.map(|name| format!("{}: {name}", path.display()))
    });
    found.collect()
}

#[test]
fn every_template_parameter_of_the_cpp_headers_has_a_text() {
    let mut missing = Vec::new();
    for (path, text) in manual_cpp::headers(source_root()) {
        let names = manual_cpp::template_parameters_without_text(&text);
        missing.extend(names.into_iter().map(|name| format!("{path}: {name}")));
    }
    assert!(missing.is_empty(), "no @tparam of:\n{}", missing.join("\n"));
}

#[test]
fn the_site_has_no_warning_and_no_dead_link_and_its_search_knows_every_function() {
    if !is_here("doxygen", "doxygen", "the HTML site") {
        return;
    }
    let folder = site_folder();
    make_site(&folder);
    let dead = dead_links(&folder);
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
    let (index, pages) = (search_index(&folder), html(&folder));
    for item in manual().items() {
        assert!(
            index.contains(&format!("'{}'", item.name)),
            "the search does not know {}",
            item.name
        );
        let is_shown = |text: &String| text.contains(&item.name);
        assert!(pages.values().any(is_shown), "no page has {}", item.name);
    }
    let missing = missing_in_cpp(&pages, &index, &declared_in_cpp());
    assert!(missing.is_empty(), "the C++ reference has not:\n{}", missing.join("\n"));
    let private = private_in_cpp(&pages);
    assert!(private.is_empty(), "the C++ reference names:\n{}", private.join("\n"));
    let tree = fs::read_to_string(folder.join("html/navtreedata.js")).expect("the site has a tree");
    for section in ["modules.html", "namespaces.html", "files.html", "page_guide.html"] {
        assert!(tree.contains(&format!("\"{section}\"")), "the tree has no {section}");
    }
}
