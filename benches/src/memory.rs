// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the memory of values and keys, of this library and of the peers: the bytes that the C
//! library's allocator has allocated, with the headers of its blocks.
//!
//! Each number is measured in a separate process, whose heap nothing else has used.

use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;

use serde::Serialize;

use crate::compare::Comparison;
use crate::contenders::{filling, VALUES};
use crate::kernels::Input;
use crate::peers::{Peer, Peers, PLAIN};
use crate::rows::{Section, Story};
use crate::statistics::Spread;
use crate::{library, Fallible};

const SECTION: Section = Section { title: "Memory", picture: "memory" };

/// One of the rows.
pub struct Row {
    pub id: &'static str,
    pub work: &'static str,
    keys: usize,
    threads: usize,
    /// How many of the keys have a value in each thread.
    values: usize,
    /// Whether the memory of the keys themselves is included.
    with_keys: bool,
    bar: f64,
    aim: f64,
    story: Story,
}

const DENSE: &str = "memory-dense";
const SPARSE: &str = "memory-sparse";
const KEY: &str = "memory-key";

pub const ROWS: [Row; 3] = [
    Row {
        id: DENSE,
        work: "bytes for each value: 100 threads with values of all 1,000 keys",
        keys: 1000,
        threads: 100,
        values: 1000,
        with_keys: true,
        bar: 105.0,
        aim: 80.0,
        story: Story {
            section: SECTION,
            why: "Qt takes least: a thread has an array of pointers, and here every element is \
                  used. With pthread keys, a value takes a pointer and a number. This library \
                  has an entry in a table that is never full, and a record by which the key \
                  finds the value.",
            unfair: "oneTBB is measured with the C library's allocator, because its own does not \
                     report how much is allocated.",
        },
    },
    Row {
        id: SPARSE,
        work: "bytes for each value: 200 threads with values of 10 of 20,000 keys",
        keys: 20_000,
        threads: 200,
        values: 10,
        with_keys: false,
        bar: 230.0,
        aim: 180.0,
        story: Story {
            section: SECTION,
            why: "A library that stores only the values that a thread has takes little memory \
                  when few of many keys are used. Boost's nodes are smaller than the entries of \
                  this library, because they have nothing by which a key could find them. Qt has \
                  an array with an element for each key, which is large. The crate's objects \
                  have buckets for 1, 2, 4 and so on threads, and the first value in a bucket \
                  allocates all of it.",
            unfair: "The memory of the keys themselves is not included. pthread keys, C11 and \
                     GLib cannot have so many keys, and are not measured.",
        },
    },
    Row {
        id: KEY,
        work: "bytes for each live key without values, with 20,000 keys",
        keys: 20_000,
        threads: 0,
        values: 0,
        with_keys: true,
        bar: 130.0,
        aim: 96.0,
        story: Story {
            section: SECTION,
            why: "Boost's object is a few words. This library has a record with counts, a lock, \
                  callbacks and the list of holders. pthread keys are an array in the C library, \
                  and are not measured.",
            unfair: "The objects of Boost, oneTBB and the crate are allocated one by one here. \
                     As members of other objects they take less.",
        },
    },
];

#[derive(Serialize)]
pub struct MemoryRecord {
    pub id: &'static str,
    pub work: &'static str,
    pub section: &'static str,
    pub picture: &'static str,
    pub why: &'static str,
    pub unfair: &'static str,
    pub bar: Comparison,
    pub aim: Comparison,
    /// This library first.
    pub bytes: Vec<(String, f64)>,
}

/// What can be measured: `ours` first.
const MEASURED: [&str; 9] =
    ["ours", "ours-cpp", "pthread", "c11", "glib", "boost", "tbb-malloc", "qt", "crate"];

pub fn records(peers: &Peers, wants: impl Fn(&str, &str) -> bool) -> Fallible<Vec<MemoryRecord>> {
    let wanted = ROWS.iter().filter(|row| wants(row.id, row.work));
    wanted.map(|row| record(peers, row)).collect()
}

fn record(peers: &Peers, row: &Row) -> Fallible<MemoryRecord> {
    let mut bytes = Vec::new();
    for peer in MEASURED.iter().filter_map(|id| peers.get(id)) {
        let libc_alone = matches!(peer.id.as_str(), "pthread" | "c11");
        if peer.can_have(row.keys) && !(row.id == KEY && libc_alone) {
            bytes.push((peer.name.clone(), in_own_process(row, &peer)?));
        }
    }
    let ours = Spread::of([bytes[0].1]);
    Ok(MemoryRecord {
        id: row.id,
        work: row.work,
        section: row.story.section.title,
        picture: row.story.section.picture,
        why: row.story.why,
        unfair: row.story.unfair,
        bar: Comparison::of(ours, row.bar),
        aim: Comparison::of(ours, row.aim),
        bytes,
    })
}

fn in_own_process(row: &Row, peer: &Peer) -> Fallible<f64> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program).args(["--memory", row.id, &peer.id]).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
    text.parse().map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        format!("{}, {}: {text} {said}", row.id, peer.name)
    })
}

/// The work of such a process: `--memory ROW PEER`.
pub fn run_one(peers: &Peers, arguments: &[String]) -> Fallible<()> {
    let [id, peer] = arguments else {
        return Err("--memory takes a row and a peer".into());
    };
    let row = ROWS.iter().find(|row| row.id == id).ok_or("--memory: no such row")?;
    let peer = peers.get(peer).ok_or("--memory: no such peer")?;
    println!("{}", taken(row, &peer)?);
    Ok(())
}

/// The bytes that are allocated, in all arenas and in mapped blocks.
pub fn allocated() -> usize {
    // SAFETY: no precondition.
    let all = unsafe { libc::mallinfo2() };
    all.uordblks + all.hblkhd
}

/// The bytes for each value, or for each key if there are no values.
fn taken(row: &Row, peer: &Peer) -> Fallible<f64> {
    library::attach()?;
    // The array of handles belongs to the caller, and is not counted.
    let mut keys = vec![0; row.keys];
    let at_first = allocated();
    if !peer.table.make(&mut keys, PLAIN) {
        return Err(format!("{}: {} keys could not be made", peer.name, row.keys));
    }
    let with_keys = allocated();
    let keys: Arc<[u64]> = keys.into();
    let step = Arc::new(Barrier::new(row.threads + 1));
    let threads: Vec<_> = (0..row.threads)
        .map(|number| {
            let (peer, step, keys, values) = (peer.clone(), step.clone(), keys.clone(), row.values);
            thread::spawn(move || hold(&peer, &step, &keys, number, values))
        })
        .collect();
    step.wait();
    let before = allocated();
    step.wait();
    step.wait();
    let values = allocated().saturating_sub(before);
    step.wait();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked".to_string())?;
    }
    peer.table.unmake(&keys);
    let keys = with_keys.saturating_sub(at_first);
    let all = if row.with_keys { keys + values } else { values };
    let of = if row.threads > 0 { row.threads * row.values } else { row.keys };
    Ok(all as f64 / of as f64)
}

fn hold(peer: &Peer, step: &Barrier, keys: &[u64], number: usize, values: usize) {
    // This makes the allocator set up its own memory for this thread.
    drop(std::hint::black_box(Box::new(number)));
    let own = (0..values).map(|value| keys[(number * values + value) * 9 % keys.len()]);
    let own: Vec<u64> = if values == keys.len() { keys.to_vec() } else { own.collect() };
    step.wait();
    step.wait();
    filling(peer, PLAIN).run(0, &Input::over(&own, VALUES), own.len() as u64);
    step.wait();
    step.wait();
}
