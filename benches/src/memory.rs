// SPDX-License-Identifier: MIT OR Apache-2.0
//! What values and keys take in memory, ours and peers', by what the C library's allocator has
//! handed out, its own headers included.
//!
//! Each figure is taken by a process of its own: on a heap that nothing else has used.

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
    /// Of the keys, in each thread.
    values: usize,
    /// Whether the keys themselves are counted.
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
        work: "bytes a value: 1,000 keys, 100 threads, a value everywhere",
        keys: 1000,
        threads: 100,
        values: 1000,
        with_keys: true,
        bar: 105.0,
        aim: 80.0,
        story: Story {
            section: SECTION,
            why: "Qt wins: a thread has an array of pointers, and here every place is used. \
                  pthread's place is a pointer and a number. Ours has an entry in a table that is \
                  kept partly empty, and a record by which the key finds the value.",
            unfair: "TBB with the C library's allocator, and not with its own, which can't be \
                     asked.",
        },
    },
    Row {
        id: SPARSE,
        work: "bytes a value: 20,000 keys, 10 values in each of 200 threads",
        keys: 20_000,
        threads: 200,
        values: 10,
        with_keys: false,
        bar: 230.0,
        aim: 180.0,
        story: Story {
            section: SECTION,
            why: "A map for what a thread has, and not for all keys, is small when few of many \
                  keys are used. Boost's tree nodes are smaller, for they hold nothing by which a \
                  key could find them. An array with a place for each key is large: Qt's. The \
                  crate's object has buckets of 1, 2, 4 and so on threads, and allocates a whole \
                  one for the first value in it.",
            unfair: "Without the keys, which exist before. pthread, C11 and GLib can't have so \
                     many.",
        },
    },
    Row {
        id: KEY,
        work: "bytes a live key without values, of 20,000",
        keys: 20_000,
        threads: 0,
        values: 0,
        with_keys: true,
        bar: 130.0,
        aim: 96.0,
        story: Story {
            section: SECTION,
            why: "pthread's keys are an array in the C library, and so no figure. Boost's object \
                  is a few words. Ours has a record with counts, a lock, callbacks and the list \
                  of its holders.",
            unfair: "Boost's, TBB's and the crate's objects are allocated one by one here; inside \
                     another object they take less.",
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
    /// Ours first.
    pub bytes: Vec<(String, f64)>,
}

/// Who can be asked: `ours` first.
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

/// What such a process does: `--memory ROW PEER`.
pub fn run_one(peers: &Peers, arguments: &[String]) -> Fallible<()> {
    let [id, peer] = arguments else {
        return Err("--memory takes two values".into());
    };
    let row = ROWS.iter().find(|row| row.id == id).ok_or("--memory: no such row")?;
    let peer = peers.get(peer).ok_or("--memory: no such peer")?;
    println!("{}", taken(row, &peer)?);
    Ok(())
}

/// Bytes that are allocated: in all arenas, and mapped.
pub fn allocated() -> usize {
    // SAFETY: no precondition.
    let all = unsafe { libc::mallinfo2() };
    all.uordblks + all.hblkhd
}

/// Bytes for each value, or for each key where there are no values.
fn taken(row: &Row, peer: &Peer) -> Fallible<f64> {
    library::attach()?;
    // The handles are the caller's, and not counted.
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
    // The allocator's own memory for this thread is made here.
    drop(std::hint::black_box(Box::new(number)));
    let own = (0..values).map(|value| keys[(number * values + value) * 9 % keys.len()]);
    let own: Vec<u64> = if values == keys.len() { keys.to_vec() } else { own.collect() };
    step.wait();
    step.wait();
    filling(peer, PLAIN).run(0, &Input::over(&own, VALUES), own.len() as u64);
    step.wait();
    step.wait();
}
