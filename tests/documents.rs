// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the documents say and show, held against the sources.
//!
//! A page shows C and C++ in blocks with a mark, a comment on the line above:
//!
//! | mark | the block is |
//! |---|---|
//! | `<!-- examples/guide/keys.c -->` | a run of lines of that file, whatever its indentation |
//! | `<!-- examples/guide/keys.c output -->` | what the program prints |
//! | `<!-- examples/hello.c build -->` | commands that build and run it |
//!
//! Each program that a page names so is compiled without a warning, and run.
//! `THREADLOCALMAP_WRITE_WORDS=1` copies the header's words to the guide.

#[path = "documents/markdown.rs"]
mod markdown;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use markdown::{is_part_of, words, Page};
use support::compiler::{compile, compiler, link, Linkage, Standard};
use support::declarations::declarations;
use support::library::{library, HOST, TARGET};
use support::{process, scratch, source_root};

const README: &str = "README.md";
const GUIDE: &str = "docs/guide.md";
/// Pages of which every block of C and C++ is compiled and run.
const COMPILED: [&str; 3] = [README, GUIDE, "docs/guide-cpp.md"];
/// Pages whose tables are to be read without a browser.
const NARROW: [&str; 6] =
    [README, GUIDE, "docs/guide-cpp.md", "docs/platforms.md", "CONTRIBUTING.md", "SECURITY.md"];
const PATIENCE: Duration = Duration::from_secs(120);

fn page(path: &str) -> Page {
    Page::read(source_root(), Path::new(path))
}

fn pages() -> Vec<Page> {
    let pages = markdown::pages(source_root());
    assert!(pages.len() >= 12, "pages have been found: {pages:?}");
    pages
}

fn read(path: impl AsRef<Path>) -> String {
    let path = source_root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reports everything that is wrong together.
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

// ---- Length and width -------------------------------------------------------------

/// A word is what stands between blanks, has a letter or a digit, and is in no fenced block and
/// in no mark.
#[test]
fn the_readme_has_at_most_1500_words() {
    let page = page(README);
    let lines = page.prose().filter(|(_, line)| !line.starts_with("<!--"));
    let number: usize = lines.map(|(_, line)| words(line)).sum();
    assert!((500..=1500).contains(&number), "{README} has {number} words");
}

#[test]
fn tables_are_at_most_100_columns_wide() {
    let mut wrong = Vec::new();
    for page in NARROW.map(page) {
        for (number, line) in page.prose().filter(|(_, line)| line.starts_with('|')) {
            let width = line.chars().count();
            if width > 100 {
                wrong.push(format!("{}:{number}: {width} columns", page.path.display()));
            }
        }
    }
    none(wrong);
}

#[test]
fn the_first_program_has_at_most_25_lines() {
    let text = read("examples/hello.c");
    let lines = text.lines().filter(|line| !line.contains("SPDX-License-Identifier")).count();
    assert!(lines <= 25, "examples/hello.c has {lines} lines");
}

// ---- Links, names and words --------------------------------------------------------

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut wrong = Vec::new();
    let mut looked = 0;
    for page in pages() {
        for (number, link) in page.links() {
            if link.starts_with("http") || link.starts_with("mailto:") {
                continue;
            }
            looked += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = page.path.parent().expect("a file is in a folder");
            let target = if file.is_empty() { page.path.clone() } else { folder.join(file) };
            let found = source_root().join(&target).exists();
            // What is no page has no headings.
            let is_page = found && file.is_empty() || file.ends_with(".md");
            let leads = anchor.is_empty()
                || is_page
                    && Page::read(source_root(), &target).anchors().iter().any(|a| a == anchor);
            if !(found && leads) {
                wrong.push(format!("{}:{number}: {link}", page.path.display()));
            }
        }
    }
    assert!(looked > 100, "links have been found: {looked}");
    none(wrong);
}

/// A path is named from the root, or from the folder of the page.
#[test]
fn files_that_are_named_exist() {
    const FOLDERS: [&str; 9] =
        ["src", "tests", "scripts", "examples", "bindings", "include", "docs", "benches", "fuzz"];
    let exists = |path: &Path| {
        // A module is named without its extension, and a group of files by their beginning.
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = path.parent().and_then(|folder| fs::read_dir(folder).ok());
        let mut names = folder.into_iter().flatten().filter_map(Result::ok);
        let is_named = |name: String| name == file || name.starts_with(&format!("{file}."));
        names.any(|entry| is_named(entry.file_name().to_string_lossy().into_owned()))
    };
    let mut wrong = Vec::new();
    let mut looked = 0;
    for page in pages() {
        let folder = page.path.parent().expect("a file is in a folder").to_owned();
        for (number, line) in page.prose() {
            for span in line.split('`').skip(1).step_by(2) {
                let is_path = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
                let Some((first, _)) = span.split_once('/') else { continue };
                if !is_path || !FOLDERS.contains(&first) {
                    continue;
                }
                looked += 1;
                let span = span.trim_end_matches('/');
                let from = |place: &Path| exists(&source_root().join(place).join(span));
                // What changed once may have gone since.
                if !from(Path::new("")) && !from(&folder) && page.path != Path::new("CHANGELOG.md")
                {
                    wrong.push(format!("{}:{number}: {span}", page.path.display()));
                }
            }
        }
    }
    assert!(looked > 60, "files have been found: {looked}");
    none(wrong);
}

/// Functions as `tls_get()` in the text of a page.
fn functions_of(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.match_indices("tls_").filter(|(at, _)| !text[..*at].ends_with(is_part));
    starts
        .filter_map(|(at, _)| {
            let name = &text[at..];
            let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
            name[end..].starts_with('(').then_some(&name[..end])
        })
        .collect()
}

#[test]
fn functions_that_are_named_exist() {
    let mut headers = String::new();
    for folder in ["include", "bindings/c/include"] {
        for entry in fs::read_dir(source_root().join(folder)).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            if path.is_file() {
                headers.push_str(&fs::read_to_string(path).expect("a header is text"));
            }
        }
    }
    let declared = functions_of(&headers);
    let mut wrong = Vec::new();
    for page in pages() {
        let unknown = functions_of(&page.text).into_iter().filter(|name| !declared.contains(name));
        wrong.extend(unknown.map(|name| format!("{}: {name}()", page.path.display())));
    }
    none(wrong);
}

#[test]
fn the_guide_names_every_function_of_the_header() {
    let guide = page(GUIDE).text;
    let functions = declarations(&read("include/threadlocalmap.h"));
    assert!(functions.len() > 40, "functions have been found: {functions:?}");
    let names = functions.iter().map(|function| &function.name);
    // Of these the inlined calls alone know.
    let public = names.filter(|name| !name.contains("_v1"));
    let missing = public.filter(|name| !guide.contains(&format!("`{name}")));
    none(missing.map(|name| format!("{GUIDE} has no {name}()")).collect());
}

/// The words that the header defines, and their meanings.
fn header_words() -> Vec<(String, String)> {
    let header = read("include/threadlocalmap.h");
    let section = header.lines().skip_while(|line| line.trim_start_matches(" * ") != "WORDS");
    let mut words: Vec<(String, String)> = Vec::new();
    for line in section.skip(1) {
        let Some(line) = line.strip_prefix(" *   ") else { break };
        match line.strip_prefix(' ') {
            Some(more) => {
                let meaning = &mut words.last_mut().expect("a word comes first").1;
                meaning.push(' ');
                meaning.push_str(more.trim());
            }
            None => {
                let (word, meaning) = line.split_once("  ").expect("a word has a meaning");
                words.push((word.to_owned(), meaning.trim().to_owned()));
            }
        }
    }
    assert!(words.len() > 10, "words have been found: {words:?}");
    words
}

#[test]
fn the_guide_has_the_words_of_the_header() {
    const START: &str = "<!-- words -->\n";
    const END: &str = "<!-- end of words -->";
    let list: String =
        header_words().iter().map(|(word, meaning)| format!("* **{word}**: {meaning}\n")).collect();
    let guide = page(GUIDE).text;
    let (start, end) = (guide.find(START), guide.find(END));
    let start = start.expect("the guide has a place for words") + START.len();
    let end = end.expect("the guide has a place for words");
    if env::var_os("THREADLOCALMAP_WRITE_WORDS").is_some() {
        let new = format!("{}{list}{}", &guide[..start], &guide[end..]);
        fs::write(source_root().join(GUIDE), new).expect("the guide can be written");
    } else {
        assert_eq!(&guide[start..end], list, "THREADLOCALMAP_WRITE_WORDS=1 writes them anew");
    }
}

#[test]
fn targets_of_make_that_are_named_exist() {
    let makefile = read("Makefile");
    let is_target = |name: &str| {
        makefile.lines().any(|line| line.starts_with(&format!("{name}:")))
            || name.strip_prefix("demo-").is_some_and(|thing| {
                let things = makefile.lines().find(|line| line.starts_with("THINGS "));
                things.is_some_and(|line| line.split_whitespace().any(|word| word == thing))
            })
    };
    let mut looked = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        // Other projects' targets are named there.
        if page.path.starts_with("packaging") {
            continue;
        }
        let spans = page.prose().flat_map(|(_, line)| line.split('`').skip(1).step_by(2));
        let spans: Vec<String> = spans.map(str::to_owned).collect();
        let blocks = page.blocks().into_iter().filter(|block| block.language == "sh");
        let lines = blocks.flat_map(|block| {
            block.text.lines().map(|line| line.to_owned()).collect::<Vec<String>>()
        });
        for command in spans.into_iter().chain(lines) {
            let command = command.trim_start_matches("sudo ");
            let Some(rest) = command.strip_prefix("make ") else { continue };
            let name = rest.split_whitespace().next().unwrap_or_default();
            looked += 1;
            if !is_target(name) {
                wrong.push(format!("{}: make {name}", page.path.display()));
            }
        }
    }
    assert!(looked > 20, "commands have been found: {looked}");
    none(wrong);
}

// ---- Pictures ----------------------------------------------------------------------

/// `make docs` puts all pictures into one folder.
#[test]
fn no_two_pictures_have_the_same_name() {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    for folder in ["docs/guide", "docs/benchmarks"] {
        for entry in fs::read_dir(source_root().join(folder)).expect("the folder is there") {
            let name = entry.expect("the folder can be read").file_name();
            let name = name.to_string_lossy().into_owned();
            if let Some(other) = names.insert(name.clone(), folder.to_owned()) {
                wrong.push(format!("{folder} and {other} have a {name}"));
            }
        }
    }
    assert!(names.len() >= 8, "pictures have been found: {names:?}");
    none(wrong);
}

/// Who reads a page aloud needs the title; a page may be dark.
#[test]
fn pictures_of_the_guide_have_a_title_and_colours_for_light_and_dark() {
    let links = page(GUIDE).links();
    let pictures: Vec<_> = links.iter().filter(|(_, link)| link.ends_with(".svg")).collect();
    assert_eq!(pictures.len(), 3, "{pictures:?}");
    for (_, picture) in pictures {
        let text = read(Path::new("docs").join(picture));
        for part in ["viewBox=", "<title ", "<desc ", "(prefers-color-scheme: dark)"] {
            assert!(text.contains(part), "{picture} has no {part}");
        }
        assert!(text.trim_end().ends_with("</svg>"), "{picture} is cut");
    }
}

// ---- Programs ----------------------------------------------------------------------

/// The file of a mark, and what of it is shown.
fn parts_of(mark: &str) -> (&str, &str) {
    mark.split_once(' ').unwrap_or((mark, ""))
}

#[test]
fn what_is_shown_of_a_program_is_in_it() {
    let mut wrong = Vec::new();
    for page in COMPILED.map(page) {
        for block in page.blocks() {
            let place = format!("{}:{}", page.path.display(), block.line);
            let code = ["c", "cpp"].contains(&block.language.as_str());
            let (file, what) = parts_of(&block.mark);
            match (code, what) {
                (true, "") if block.mark.is_empty() => wrong.push(format!("{place}: no mark")),
                (true, "") if !is_part_of(&block.text, &read(file)) => {
                    wrong.push(format!("{place}: this is not in {file}"));
                }
                (true, "") | (false, "" | "output" | "build") => {}
                _ => wrong.push(format!("{place}: <!-- {} -->", block.mark)),
            }
        }
    }
    none(wrong);
}

#[test]
fn the_first_programs_are_shown_whole() {
    for (shown, file) in [(README, "examples/hello.c"), (COMPILED[2], "examples/hello.cpp")] {
        let program: String = read(file)
            .lines()
            .filter(|line| !line.contains("SPDX-License-Identifier"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(page(shown).block(file), program, "{shown} on the left, {file} on the right");
    }
}

/// Every program that a page shows, with the outputs that pages say it has.
fn programs() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in COMPILED.map(page) {
        for block in page.blocks().into_iter().filter(|block| !block.mark.is_empty()) {
            let (file, what) = parts_of(&block.mark);
            let outputs = found.entry(file.to_owned()).or_default();
            if what == "output" {
                outputs.push(block.text);
            }
        }
    }
    found
}

#[test]
fn every_program_of_the_guide_is_in_it_with_its_output() {
    let programs = programs();
    let mut wrong = Vec::new();
    for entry in fs::read_dir(source_root().join("examples/guide")).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let path = path.strip_prefix(source_root()).expect("below the root").display().to_string();
        if path.ends_with(".c") && programs.get(&path).is_none_or(Vec::is_empty) {
            wrong.push(format!("{GUIDE} does not say what {path} prints"));
        }
    }
    none(wrong);
}

/// Compiles a program, strictly, and links it with the static library.
fn build(file: &str) -> PathBuf {
    let cpp = file.ends_with(".cpp");
    let standard = if cpp { Standard::cpp("c++17") } else { Standard::c("c11") };
    let program = scratch("documents").join(file.replace('/', "-"));
    let object = program.with_extension("o");
    let bindings = format!("-I{}", source_root().join("bindings/cpp/include").display());
    let flags = ["-D_POSIX_C_SOURCE=200809L", "-Wshadow", "-Wconversion", &bindings];
    compile(&source_root().join(file), standard, &library().include, flags, &object)
        .and_then(|()| link(&[&object], standard, library(), Linkage::Static, &program))
        .unwrap_or_else(|message| panic!("{message}"));
    program
}

/// What a command prints; it must succeed.
fn printed(command: &mut Command, log: &Path) -> String {
    process::run(command, log, PATIENCE).unwrap_or_else(|message| panic!("{message}"));
    fs::read_to_string(log).expect("the log is there")
}

#[test]
fn programs_print_what_the_pages_say() {
    let programs = programs();
    assert!(programs.len() >= 13, "programs have been found: {programs:?}");
    for (file, outputs) in programs {
        let program = build(&file);
        if TARGET != HOST {
            continue; // it needs an emulator
        }
        let mut command = Command::new(&program);
        let printed =
            printed(command.env_remove("LD_LIBRARY_PATH"), &program.with_extension("log"));
        for output in outputs {
            assert_eq!(printed, output, "{file} on the left, what a page says on the right");
        }
    }
}

/// The commands name the places of a plain clone; here they may be others.
#[test]
fn commands_build_and_run_the_first_programs() {
    if TARGET != HOST {
        return; // the commands build for this machine
    }
    let target = env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    for (shown, file) in [(README, "examples/hello.c"), (COMPILED[2], "examples/hello.cpp")] {
        let page = page(shown);
        let compilers = [("cc ", Standard::c("c11")), ("c++ ", Standard::cpp("c++17"))];
        let mut commands = String::new();
        for line in page.block(&format!("{file} build")).lines() {
            let mut line = line.replace("target/", &format!("{target}/"));
            for (name, standard) in compilers {
                if let Some(arguments) = line.strip_prefix(name) {
                    let path = compiler(standard).get_program().to_string_lossy().into_owned();
                    line = format!("{path} {arguments}");
                }
            }
            commands.push_str(&line);
            commands.push('\n');
        }
        let log = scratch("documents").join(format!("{}-build.log", file.replace('/', "-")));
        let mut command = Command::new("bash");
        command.current_dir(source_root()).args(["-euc", &commands]);
        // A make of its own, not one below another make, which says where it is.
        command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("LD_LIBRARY_PATH");
        let printed = printed(&mut command, &log);
        assert!(
            printed.ends_with(&page.block(&format!("{file} output"))),
            "{commands}prints something else than {shown} says:\n{printed}"
        );
    }
}
