// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares this library with every peer across threads, and with very many keys.

use super::peers_one_thread::beside_all;
use super::{Row, Scale, Section, Story};
use crate::checks::grouped;
use crate::contenders::{Ends, Expunges, ThreadLives, Totals, VeryMany};
use crate::peers::{Peer, Peers};

const RELEASE: Section =
    Section { title: "Release of a key under which other threads have values", picture: "release" };
const TOTAL: Section = Section { title: "A sum over all threads' values", picture: "sum" };
const THREADS: Section = Section { title: "The life of a thread", picture: "threads" };
const MANY: Section = Section { title: "A million keys", picture: "million" };

/// The curves over 10, 100 and 1,000 threads.
const LEFT: &str = "release, values destroyed later";
const DESTROYED: &str = "release, values destroyed at once";
const EXPUNGED: &str = "expunge of 100 stale values";
const VISITED: &str = "sum by tls_for_each";
const LOCKED: &str = "sum by tls_for_each_locked";

const HOLDERS: [usize; 3] = [10, 100, 1000];

pub fn rows(peers: &Peers, scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend((0..3).map(|nth| leaving(peers, nth)));
    rows.extend((0..3).map(|nth| destroying(peers, nth)));
    rows.extend((0..3).map(|nth| expunge(peers, nth)));
    rows.extend((0..3).map(|nth| total(peers, nth)));
    rows.extend((0..3).map(|nth| total_locked(peers, nth)));
    rows.push(thread_lives(peers));
    rows.extend(very_many(peers, scale));
    rows
}

fn leaving(peers: &Peers, nth: usize) -> Row {
    const IDS: [&str; 3] = ["release-owner-10", "release-owner-100", "release-owner-1000"];
    let threads = HOLDERS[nth];
    let work = format!("{LEFT}, for each of {threads} holders");
    let us = Ends::leaving(&peers.named("ours"), threads).expect("this library can");
    Row::new(IDS[nth], work, us)
        .at_most(30.0)
        .aiming(15.0)
        .every(4)
        .over_threads(LEFT, threads)
        .told(Story {
            section: RELEASE,
            why: "The release puts one entry into the inbox of each map that has a value, and the \
              owner of the map destroys the value later. This writes to one or two cache lines \
              that another thread used last. With 1,000 holders, these lines are not in a near \
              cache.",
            unfair:
                "No peer can do this. The others destroy the values on the thread that releases \
                 the key (see the next rows), or do not destroy them: pthread keys, C11, Boost \
                 and Qt leak them.",
        })
}

fn destroying(peers: &Peers, nth: usize) -> Row {
    const IDS: [&str; 3] = ["release-any-10", "release-any-100", "release-any-1000"];
    // The bar is twice the time that folly took on the machine on which it was set; the aim is that
    // time.
    const LIMITS: [(f64, f64); 3] = [(24.0, 12.0), (36.0, 18.0), (38.0, 19.0)];
    let threads = HOLDERS[nth];
    let work = format!("{DESTROYED}, for each of {threads} holders");
    let (bar, aim) = LIMITS[nth];
    beside_all(peers, IDS[nth], &work, None, |peer| {
        // The other ways to use this library call the same function.
        (peer.id == "ours" || !peer.is_ours()).then(|| Ends::destroying(peer, threads)).flatten()
    })
    .at_most(bar)
    .aiming(aim)
    .every(4)
    .over_threads(DESTROYED, threads)
    .told(Story {
        section: RELEASE,
        why: "The crate and oneTBB are fastest: an object has an array of its values, and its \
              destructor goes through the array. This library keeps the values of a thread \
              together, which makes a get fast. So a release must visit the map of each holder, \
              and take an entry out of it while its owner continues to run.",
        unfair: "The crate and oneTBB require that no thread uses the object any more. The bars \
                 are twice the time that folly took on the machine on which they were set. folly \
                 is not measured here, because Debian has no package of it.",
    })
}

fn expunge(peers: &Peers, nth: usize) -> Row {
    const IDS: [&str; 3] = ["expunge-10", "expunge-100", "expunge-1000"];
    let threads = HOLDERS[nth];
    let work = format!("{EXPUNGED}, for each value; {threads} holders");
    let us = Expunges::new(&peers.named("ours"), threads);
    let every = if threads == 1000 { 10 } else { 4 };
    let row = Row::new(IDS[nth], work, us).at_most(60.0).aiming(30.0).every(every);
    row.over_threads(EXPUNGED, threads).told(Story {
        section: RELEASE,
        why: "The owner finds the entries whose key is dead, removes each, calls the destructor, \
              and gives up its reference to the record of the key. With many holders, these \
              records and maps are no longer in the cache.",
        unfair: "The time is the sum of the processor times of all threads. No peer can do this.",
    })
}

const TOTAL_WHY: &str =
    "The crate and oneTBB are fastest: all values of one object are in a few arrays, and are \
     read in order. This library goes from holder to holder, and each value is in the map of \
     another thread.";

fn total(peers: &Peers, nth: usize) -> Row {
    const IDS: [&str; 3] = ["sum-10", "sum-100", "sum-1000"];
    sums(peers, IDS[nth], VISITED, "total", HOLDERS[nth], (10.0, 5.0))
}

fn total_locked(peers: &Peers, nth: usize) -> Row {
    const IDS: [&str; 3] = ["sum-locked-10", "sum-locked-100", "sum-locked-1000"];
    sums(peers, IDS[nth], LOCKED, "total_locked", HOLDERS[nth], (3.0, 1.5))
}

fn sums(
    peers: &Peers,
    id: &'static str,
    curve: &'static str,
    ours: &str,
    threads: usize,
    (bar, aim): (f64, f64),
) -> Row {
    let work = format!("{curve}, for each of {threads} threads");
    beside_all(peers, id, &work, None, |peer: &Peer| match peer.id.as_str() {
        "ours" => Totals::new(peer, ours, threads),
        _ if peer.is_ours() => None,
        _ => Totals::new(peer, "total", threads),
    })
    .at_most(bar)
    .aiming(aim)
    .every(4)
    .over_threads(curve, threads)
    .told(Story {
        section: TOTAL,
        why: TOTAL_WHY,
        unfair: "tls_for_each keeps each value alive while it is visited. tls_for_each_locked \
                 reads all values as they are at one instant. oneTBB and the crate do neither. \
                 They need not, because they keep the values of a thread after the thread has \
                 ended, so no value is destroyed during the sum.",
    })
}

/// Peers whose values end with their thread, and whose keys are made at run time.
fn ends_with_thread(peer: &Peer) -> bool {
    matches!(peer.id.as_str(), "ours" | "pthread" | "c11" | "glib" | "boost" | "qt")
}

fn thread_lives(peers: &Peers) -> Row {
    let work = "start a thread, set 100 keys, end the thread";
    beside_all(peers, "thread-100", work, Some((1.2, 1.1)), |peer| {
        ends_with_thread(peer).then(|| ThreadLives::new(peer, 100))
    })
    .every(2)
    .told(Story {
        section: THREADS,
        why: "pthread keys and C11 are fastest. Most of the time is the work of the kernel for a \
              thread, and with pthread keys, 100 values take three small blocks of memory. This \
              library makes a map, grows its table to 100 entries, registers each entry with its \
              key, and undoes all of this when the thread ends.",
        unfair: "The time is the processor time of the whole process, and includes the start and \
                 the end of the thread. oneTBB and the crate are not measured: they keep the \
                 values of a thread after it has ended, and a later thread with the same \
                 identifier gets them.",
    })
}

fn very_many(peers: &Peers, scale: Scale) -> [Row; 2] {
    let count = scale.of(1_000_000);
    let many = grouped(count);
    let can = move |peer: &Peer| {
        matches!(peer.id.as_str(), "ours" | "ours-cpp" | "boost" | "crate") && peer.can_have(count)
    };
    let row = |id, work: &str, contender: fn(&Peer, usize) -> VeryMany, bar, aim| {
        beside_all(peers, id, work, None, |peer| can(peer).then(|| contender(peer, count)))
            .at_most(bar)
            .aiming(aim)
            .every(10)
    };
    let unfair = "pthread keys, C11, GLib and oneTBB ets_key_per_instance are limited to 1,024 \
                  keys. Qt searches for a free number from the beginning each time, so a million \
                  objects would take too long. oneTBB ets_no_key allocates some hundred bytes \
                  for the first value of each object. None of them is measured here.";
    [
        row(
            "million-create",
            &format!("create {many} keys, for each key"),
            VeryMany::created,
            50.0,
            25.0,
        )
        .told(Story {
            section: MANY,
            why: "Boost and OpenJDK are fastest: their objects are a few words, and nothing \
                      is done except to allocate them. This library makes a record that every \
                      thread can find by the number of the key. The crate's object has a field \
                      for each power of two of threads, half a kilobyte that must be cleared.",
            unfair,
        }),
        row(
            "million-set",
            &format!("first set of {many} keys, for each key"),
            VeryMany::first_set,
            250.0,
            100.0,
        )
        .told(Story {
            section: MANY,
            why: "The crate is fastest: it allocates a word in a bucket of the object, and \
                  searches nothing. This library's table grows by doubling, and each time all \
                  entries are moved. Boost allocates a node, and searches a tree of a million \
                  nodes.",
            unfair,
        }),
    ]
}
