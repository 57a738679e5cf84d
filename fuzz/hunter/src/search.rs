// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs by the thousand.
//!
//! A finding is only worth something when it can be had again. So each one is
//! played again, made smaller as long as the same sentence comes out, and left
//! in a file, with the program in words beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::generate::{fresh, mutated, shrink, Random, Shape};
use crate::print::print;
use crate::program::{Group, Program, Without, THREADS};
use crate::report;
use crate::run::{run, Settings};
use crate::shadow::Shadow;
use crate::world::Mode;

/// Runs that a shrinking may take.
const TRIES: usize = 3000;
/// Values that exist at the same time, and are remembered after their end.
const RECORDS: usize = 4 << 20;
/// Keys that exist at the same time.
const SHADOW_KEYS: usize = 2048;
/// A search plays many threads at once so often, and so long.
const MANY_EVERY: Duration = Duration::from_secs(15);
const MANY_LASTS: u64 = 2;
/// Inputs that are kept to make others of.
const POOL: usize = 400;

struct Options {
    seconds: u64,
    seed: Option<u64>,
    modes: Vec<Mode>,
    /// Between other runs, some with many threads.
    many: bool,
    without: Without,
    corpus: Option<PathBuf>,
    found: PathBuf,
    go_on: bool,
    lasts: u64,
    traces: bool,
    paths: Vec<PathBuf>,
}

/// Does what the arguments say. Returns what was found to be wrong, if
/// something was.
pub(crate) fn command(arguments: &[String]) -> Result<Option<String>, String> {
    let (command, rest) = arguments.split_first().ok_or("search, replay, shrink or show?")?;
    let options = parse(rest)?;
    report::install();
    Shadow::install(RECORDS, SHADOW_KEYS, THREADS + 1);
    match command.as_str() {
        "search" => search(&options),
        "replay" => replay(&options),
        "shrink" => {
            let path = options.paths.first().ok_or("which file?")?;
            let bytes = read(path)?;
            let what = fails(&bytes, settings(&options, options.modes[0]), 50);
            let what = what.ok_or("it does not fail")?;
            shrink_and_report(&options, options.modes[0], &bytes, &what);
            Ok(None)
        }
        "show" | "print" => {
            for path in &options.paths {
                let program = Program::decode(&read(path)?, options.without);
                let in_words = command == "show";
                println!("{}", if in_words { show(&program) } else { print(&program, "") });
            }
            Ok(None)
        }
        other => Err(format!("no command {other}")),
    }
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        seconds: 60,
        seed: None,
        modes: vec![Mode::Turns, Mode::Free],
        many: true,
        without: Without::default(),
        corpus: None,
        found: PathBuf::from("found"),
        go_on: false,
        lasts: 30,
        traces: false,
        paths: Vec::new(),
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: &String| text.parse().map_err(|_| format!("{text} is no number"));
        match argument.as_str() {
            "--seconds" => options.seconds = number(value()?)?,
            "--seed" => options.seed = Some(number(value()?)?),
            "--lasts" => options.lasts = number(value()?)?,
            "--without" => options.without = Without::parse(value()?)?,
            "--corpus" => options.corpus = Some(PathBuf::from(value()?)),
            "--found" => options.found = PathBuf::from(value()?),
            "--trace" => options.traces = true,
            "--go-on" => options.go_on = true,
            "--mode" => {
                options.many = false;
                options.modes = match value()?.as_str() {
                    "turns" => vec![Mode::Turns],
                    "free" => vec![Mode::Free],
                    "many" => vec![Mode::Many],
                    "both" => vec![Mode::Turns, Mode::Free],
                    other => return Err(format!("no mode {other}")),
                }
            }
            flag if flag.starts_with("--") => return Err(format!("no option {flag}")),
            path => options.paths.push(PathBuf::from(path)),
        }
    }
    Ok(options)
}

fn settings(options: &Options, mode: Mode) -> Settings {
    let mut without = options.without;
    let lasts = match mode {
        Mode::Many if options.many => MANY_LASTS,
        Mode::Many => options.lasts,
        _ => 0,
    };
    if mode == Mode::Many {
        // Its threads do not end, and nothing fails.
        for group in [Group::Exits, Group::Cancel, Group::Forks, Group::Alloc] {
            without.add(group);
        }
    }
    Settings {
        mode,
        without,
        // A machine that is busy with other things is slow, and no hang.
        patience: if mode == Mode::Many { 90 } else { 15 },
        traces: options.traces,
        lasts: Duration::from_secs(lasts),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries =
        std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.is_file() && file.extension().is_none());
    files.sort();
    Ok(files)
}

/// What is wrong in one of so many runs.
fn fails(bytes: &[u8], settings: Settings, runs: usize) -> Option<String> {
    (0..runs).find_map(|_| run(bytes, settings))
}

fn replay(options: &Options) -> Result<Option<String>, String> {
    for path in &options.paths {
        let files = files(path)?;
        for file in &files {
            let bytes = read(file)?;
            for &mode in &options.modes {
                if let Some(what) = fails(&bytes, settings(options, mode), 3) {
                    let program = Program::decode(&bytes, options.without);
                    eprintln!("{}", show(&program));
                    return Ok(Some(format!("{} ({mode:?}): {what}", file.display())));
                }
            }
        }
        println!("   {}: {} inputs", path.display(), files.len());
    }
    Ok(None)
}

fn search(options: &Options) -> Result<Option<String>, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos());
    let seed = options.seed.unwrap_or(now as u64 ^ u64::from(std::process::id()) << 32);
    println!("   seed {seed}");
    let mut random = Random::new(seed);
    let mut pool: Vec<Vec<u8>> = Vec::new();
    if let Some(corpus) = &options.corpus {
        for file in files(corpus)? {
            pool.push(read(&file)?);
        }
    }
    let began = Instant::now();
    let mut last_many = began;
    let mut runs = 0_u64;
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let mut at = 0;
    let corpus = (pool.len() * options.modes.len()) as u64;
    while began.elapsed() < Duration::from_secs(options.seconds) {
        let mut mode = options.modes[at % options.modes.len()];
        if options.many && last_many.elapsed() > MANY_EVERY {
            mode = Mode::Many;
        } else {
            at += 1;
        }
        let shape = if mode == Mode::Many { Shape::Many } else { Shape::Small };
        let bytes = if runs < corpus && mode != Mode::Many {
            // What is kept comes first, as it is.
            pool[(at - 1) / options.modes.len()].clone()
        } else if pool.is_empty() || mode == Mode::Many || random.once_in(2) {
            fresh(&mut random, shape, options.without)
        } else {
            let from = random.below(pool.len());
            mutated(&mut random, &pool[from], options.without)
        };
        runs += 1;
        let result = run(&bytes, settings(options, mode));
        if mode == Mode::Many {
            last_many = Instant::now();
        }
        let Some(what) = result else {
            if runs <= corpus {
                continue;
            }
            if mode != Mode::Many && pool.len() < POOL {
                pool.push(bytes);
            } else if !pool.is_empty() && random.once_in(8) {
                let to = random.below(pool.len());
                pool[to] = bytes;
            }
            continue;
        };
        let kind = kind_of(&what);
        let seen = kinds.entry(kind.clone()).or_default();
        *seen += 1;
        if *seen > 1 {
            continue;
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("   after {seconds:.1} s, {runs} runs ({mode:?}): {what}");
        if options.go_on {
            let name = options.found.join(file_name(&kind, mode));
            let _ = std::fs::create_dir_all(&options.found);
            let _ = std::fs::write(&name, &bytes);
            continue;
        }
        shrink_and_report(options, mode, &bytes, &what);
        let found = format!("found after {seconds:.1} s, {runs} runs, seed {seed}: {what}");
        return Ok(Some(found));
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("   {runs} runs in {seconds:.0} s");
    for (kind, seen) in &kinds {
        println!("   {seen:6}  {kind}");
    }
    Ok((!kinds.is_empty()).then(|| format!("{} kinds of failures", kinds.len())))
}

/// A sentence without its numbers: what makes two findings the same.
fn kind_of(what: &str) -> String {
    let mut kind: String = what.chars().filter(|at| !at.is_ascii_digit()).collect();
    kind.truncate(90);
    kind
}

fn file_name(kind: &str, mode: Mode) -> String {
    let mut name = String::from(if mode == Mode::Turns { "turns" } else { "free" });
    for at in kind.chars().take(70) {
        let at = if at.is_ascii_alphanumeric() || at == '_' { at } else { '-' };
        if !(at == '-' && name.ends_with('-')) {
            name.push(at);
        }
    }
    name.trim_end_matches('-').to_string()
}

fn shrink_and_report(options: &Options, mode: Mode, bytes: &[u8], what: &str) {
    let kind = kind_of(what);
    let (runs, tries) = match mode {
        Mode::Turns => (1, TRIES),
        Mode::Free => (20, TRIES / 10),
        Mode::Many => (1, 0),
    };
    let patient = settings(options, mode);
    let same =
        |bytes: &[u8]| fails(bytes, patient, runs).is_some_and(|what| kind_of(&what) == kind);
    let small = shrink(bytes, tries, same);
    let program = Program::decode(&small, options.without);
    println!("{}", show(&program));
    let name = options.found.join(file_name(&kind, mode));
    let text = print(&program, what);
    let in_c = name.with_extension("c");
    let saved = std::fs::create_dir_all(&options.found)
        .and_then(|()| std::fs::write(&name, &small))
        .and_then(|()| std::fs::write(&in_c, &text));
    match saved {
        Ok(()) => println!("   the input: {} ({} bytes)", name.display(), small.len()),
        Err(error) => println!("   {}: {error}", name.display()),
    }
    if mode == Mode::Turns {
        println!("   the same in C, {}:\n{text}", in_c.display());
    }
}

/// A program, in words.
fn show(program: &Program) -> String {
    use core::fmt::Write;
    let mut text = String::new();
    for (at, key) in program.keys.iter().enumerate() {
        let _ = writeln!(text, "key {at}: {key:?}");
    }
    let lists = [("thread", &program.threads), ("body", &program.bodies)];
    for (name, lists) in lists {
        for (at, list) in lists.iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            let _ = writeln!(text, "{name} {at}:");
            for op in list {
                let _ = writeln!(text, "    {:?} {} {}", op.code, op.a, op.b);
            }
        }
    }
    let _ = writeln!(text, "schedule {:?}", program.schedule);
    text
}
