//! The man pages: that they are what the header says, and are well formed.
//!
//! `make manual` (`THREADLOCALMAP_WRITE_MANUAL=1 cargo test --test manual`)
//! writes `docs/man` anew from `include/threadlocalmap.h`.

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use support::manual::{Kind, Manual};
use support::manual_pages::{pages, Page, Pages};
use support::{process, source_root};

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

fn is_here(tool: &str, package: &str) -> bool {
    let here = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    let here = here.is_ok_and(|output| output.status.success());
    if !here {
        println!(
            "SKIPPED: a check of the manual ({tool}, of the Debian package {package}, is not here)"
        );
    }
    here
}

#[test]
fn mandoc_finds_no_fault_in_the_pages() {
    if !is_here("mandoc", "mandoc") {
        return;
    }
    let mut command = Command::new("mandoc");
    command.args(["-Tlint", "-Wwarning"]).current_dir(folder()).args(committed().keys());
    process::output_of(&mut command);
}
