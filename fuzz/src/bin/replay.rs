// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays inputs again, without the fuzzer: `replay corpus/threads FILE...`.
//!
//! Each argument is a file or a folder of files; the folder that a file is in
//! is named after its target. With `--show` first, says what the inputs are.
//! Stops at the first failure, with the program that failed.

use std::path::{Path, PathBuf};
use std::process::abort;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use threadlocalmap_fuzz::{model, threads};

/// No input takes nearly as long: one that takes longer waits for ever.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// A way to play byte strings.
struct Target {
    name: &'static str,
    play: fn(&[u8]),
    show: fn(&[u8]) -> String,
}

const TARGETS: [Target; 2] = [
    Target { name: "model", play: model::play, show: model::show },
    Target { name: "threads", play: threads::play, show: threads::show },
];

/// What is being replayed, since when, and what it is.
static PLAYING: Mutex<Option<(PathBuf, Instant, String)>> = Mutex::new(None);

fn main() {
    let mut arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let only_show = arguments.first().is_some_and(|first| first.as_os_str() == "--show");
    if only_show {
        arguments.remove(0);
    }
    if arguments.is_empty() {
        fail("which files, or folders of files? (replay [--show] fuzz/corpus/model ...)");
    }
    stop_at_failures();
    for argument in arguments {
        let files = files_of(&argument);
        let bytes: u64 = files.iter().map(|file| replay(file, only_show)).sum();
        println!("   {}: {} inputs, {bytes} bytes", argument.display(), files.len());
    }
}

fn fail(what: &str) -> ! {
    eprintln!("replay: {what}");
    std::process::exit(2);
}

/// A panic on any thread, or an input that never ends, is a failure of what is
/// being replayed.
fn stop_at_failures() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        stop("failed");
    }));
    std::thread::spawn(|| loop {
        std::thread::sleep(Duration::from_secs(1));
        let playing = PLAYING.lock().map(|playing| playing.as_ref().map(|(_, since, _)| *since));
        if playing.ok().flatten().is_some_and(|since| since.elapsed() > HANGS_AFTER) {
            stop("does not end");
        }
    });
}

fn stop(how: &str) -> ! {
    if let Ok(Some((file, _, program))) = PLAYING.lock().as_deref() {
        eprintln!("{program}\nreplay: {} {how}. Its program is above.", file.display());
    }
    abort();
}

fn files_of(argument: &Path) -> Vec<PathBuf> {
    if argument.is_file() {
        return vec![argument.to_path_buf()];
    }
    let entries = std::fs::read_dir(argument)
        .unwrap_or_else(|error| fail(&format!("{}: {error}", argument.display())));
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    if files.is_empty() {
        fail(&format!("{} is empty", argument.display()));
    }
    files
}

/// The target that a file is for: a folder on the way to it has its name.
fn target_of(file: &Path) -> &'static Target {
    let named = |target: &&Target| file.iter().any(|part| part == target.name);
    TARGETS
        .iter()
        .find(named)
        .unwrap_or_else(|| fail(&format!("{}: in no folder named after a target", file.display())))
}

/// Returns how many bytes it had.
fn replay(file: &Path, only_show: bool) -> u64 {
    let target = target_of(file);
    let bytes =
        std::fs::read(file).unwrap_or_else(|error| fail(&format!("{}: {error}", file.display())));
    let program = (target.show)(&bytes);
    if only_show {
        println!("{}:\n{program}", file.display());
        return bytes.len() as u64;
    }
    let set = |playing| {
        if let Ok(mut place) = PLAYING.lock() {
            *place = playing;
        }
    };
    set(Some((file.to_path_buf(), Instant::now(), program)));
    (target.play)(&bytes);
    set(None);
    bytes.len() as u64
}
