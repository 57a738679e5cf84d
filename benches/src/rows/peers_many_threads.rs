// SPDX-License-Identifier: MIT OR Apache-2.0
//! This library beside every peer, across threads, and with very many keys.

use super::peers_one_thread::beside_all;
use super::{Row, Scale, Section, Story};
use crate::checks::grouped;
use crate::contenders::{Ends, Expunges, ThreadLives, Totals, VeryMany};
use crate::peers::{Peer, Peers};

const RELEASE: Section =
    Section { title: "Release of a key that other threads have values under", picture: "release" };
const TOTAL: Section = Section { title: "A sum over all threads' values", picture: "sum" };
const THREADS: Section = Section { title: "The life of a thread", picture: "threads" };
const MANY: Section = Section { title: "A million keys", picture: "million" };

/// The curves over 10, 100 and 1,000 threads.
const LEFT: &str = "release, values left to their owners";
const DESTROYED: &str = "release, values destroyed at once";
const EXPUNGED: &str = "expunge of 100 stale values by their owner";
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
    let work = format!("{LEFT}, each of {threads} holders");
    let us = Ends::leaving(&peers.named("ours"), threads).expect("ours can");
    Row::new(IDS[nth], work, us)
        .at_most(30.0)
        .aiming(15.0)
        .every(4)
        .over_threads(LEFT, threads)
        .told(Story {
        section: RELEASE,
        why: "Each holder's map is told once that it has one more stale value; its owner destroys \
              it. That is one or two cache lines that another thread last had, and with 1,000 \
              holders these are in no near cache.",
        unfair: "No peer does this. The others destroy on the releasing thread (next rows), or \
                 leave the value where it is: pthread, C11, Boost and Qt leak it.",
    })
}

fn destroying(peers: &Peers, nth: usize) -> Row {
    const IDS: [&str; 3] = ["release-any-10", "release-any-100", "release-any-1000"];
    // Twice what folly took, and what it took, when the bars were set, on the machine of then.
    const LIMITS: [(f64, f64); 3] = [(24.0, 12.0), (36.0, 18.0), (38.0, 19.0)];
    let threads = HOLDERS[nth];
    let work = format!("{DESTROYED}, each of {threads} holders");
    let (bar, aim) = LIMITS[nth];
    beside_all(peers, IDS[nth], &work, None, |peer| {
        // Through the other doors it is the same function.
        (peer.id == "ours" || !peer.is_ours()).then(|| Ends::destroying(peer, threads)).flatten()
    })
    .at_most(bar)
    .aiming(aim)
    .every(4)
    .over_threads(DESTROYED, threads)
    .told(Story {
        section: RELEASE,
        why: "The crate and TBB win: an object owns an array of its values, and its end runs \
              through that array. Ours keeps a thread's values together, which is what makes a \
              get fast, so a release has to visit every holder's map and take an entry out of it \
              while its owner goes on working.",
        unfair: "The crate and TBB demand that no thread uses the object any more. The bars are \
                 in nanoseconds: what folly took, twice, on the machine that they were set on. \
                 Debian has no folly, so it is not here.",
    })
}

fn expunge(peers: &Peers, nth: usize) -> Row {
    const IDS: [&str; 3] = ["expunge-10", "expunge-100", "expunge-1000"];
    let threads = HOLDERS[nth];
    let work = format!("{EXPUNGED}, each; {threads} holders");
    let us = Expunges::new(&peers.named("ours"), threads);
    let every = if threads == 1000 { 10 } else { 4 };
    let row = Row::new(IDS[nth], work, us).at_most(60.0).aiming(30.0).every(every);
    row.over_threads(EXPUNGED, threads).told(Story {
        section: RELEASE,
        why: "What the owner does later: it finds the entries whose key has died, takes each out, \
              calls the destructor, and gives the dead key's record one reference less. With many \
              holders, records and maps have left the cache.",
        unfair: "Each thread's own processor time, added up. No peer does this.",
    })
}

const TOTAL_WHY: &str =
    "The crate and TBB win: all values of one object stand in a few arrays, and are read one \
     after the other. Ours goes from holder to holder, and each value is in another thread's \
     map.";

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
    let work = format!("{curve}, each of {threads} threads");
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
        unfair: "TBB and the crate read values that other threads may be making, without any care \
                 for it; they never let go of a value when its thread ends. tls_for_each keeps \
                 each value alive while it is visited; tls_for_each_locked holds all of them as \
                 they are at one instant.",
    })
}

/// Peers whose values end with their thread, and whose keys are made at run time.
fn ends_with_thread(peer: &Peer) -> bool {
    matches!(peer.id.as_str(), "ours" | "pthread" | "c11" | "glib" | "boost" | "qt")
}

fn thread_lives(peers: &Peers) -> Row {
    let work = "a thread starts, sets 100 keys, ends";
    beside_all(peers, "thread-100", work, Some((1.2, 1.1)), |peer| {
        ends_with_thread(peer).then(|| ThreadLives::new(peer, 100))
    })
    .every(2)
    .told(Story {
        section: THREADS,
        why: "pthread and C11 win. Most of it is the kernel's work for a thread, and pthread's \
              100 values take three small blocks. Ours makes a map, lets its table grow to 100 \
              entries, registers each with its key, and undoes all of it at the end.",
        unfair: "Processor time of the whole process, the thread's start and end included. TBB \
                 and the crate are not here: they keep a thread's values beyond its end, and hand \
                 them to the next thread with the same number.",
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
    let unfair = "pthread, C11, GLib and ets_key_per_instance end at 1,024 keys. Qt looks \
                  for a free number from the start each time, so a million of them do not \
                  come to an end; an ets_no_key allocates some hundred bytes for its first \
                  value alone.";
    [
        row("million-create", &format!("create {many} keys, each"), VeryMany::created, 50.0, 25.0)
            .told(Story {
                section: MANY,
                why: "Boost wins, and Java is as good: such an object is a few words, and \
                      allocating it is all there is. Ours makes a record that every thread can \
                      find by the key's number. The crate's object has a place for each power of \
                      two of threads, half a kilobyte that has to be cleared.",
                unfair,
            }),
        row(
            "million-set",
            &format!("first set of {many} keys, each"),
            VeryMany::first_set,
            250.0,
            100.0,
        )
        .told(Story {
            section: MANY,
            why: "The crate wins: it allocates a word in a bucket of the object, and looks for \
                  nothing. Our table grows by doubling, and each entry is moved every time. Boost \
                  allocates a node and walks down a tree of a million.",
            unfair,
        }),
    ]
}
