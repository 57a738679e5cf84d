// SPDX-License-Identifier: MIT OR Apache-2.0
//! This library beside every peer, on one thread: reading, storing, and the life of a key.

use super::{Row, Section, Story};
use crate::contenders::{Contender, OneThread};
use crate::peers::{Peer, Peers};

const GET: Section = Section { title: "Get", picture: "get" };
const STORE: Section = Section { title: "Set", picture: "set" };
const LIFE: Section =
    Section { title: "First set, remove, and the life of a key", picture: "life" };

pub fn rows(peers: &Peers) -> Vec<Row> {
    vec![
        get_one(peers),
        get_many(peers, "get-100", 100),
        get_many(peers, "get-1000", 1000),
        get_some(peers),
        set(peers),
        replace(peers),
        replace_cpp(peers),
        first(peers, "first-1", "first set and remove, 1 key", 1, 4.0),
        first(peers, "first-100", "first set and remove, 100 keys", 100, 5.0),
        life(peers),
    ]
}

/// A row of what a peer's contender is: ours in C first, then ours through the other doors, then
/// all peers that can do it. The bar is on the ratio to pthread keys.
pub fn beside_all<C: Contender + 'static>(
    peers: &Peers,
    id: &'static str,
    work: &str,
    limits: Option<(f64, f64)>,
    contender: impl Fn(&Peer) -> Option<C>,
) -> Row {
    let us = peers.named("ours");
    let mut row = Row::new(id, work, contender(&us).expect("ours can do everything"));
    for peer in peers.beside(&us) {
        let Some(contender) = contender(&peer) else {
            continue;
        };
        row = match limits.filter(|_| peer.id == "pthread") {
            Some((bar, aim)) => row.against(contender, bar, Some(aim)),
            None => row.competitor(contender),
        };
    }
    row
}

fn get_one(peers: &Peers) -> Row {
    beside_all(peers, "get-1", "get, 1 key", Some((0.35, 0.22)), |peer| OneThread::get(peer, 1))
        .counted()
        .told(Story {
            section: GET,
            why: "The compiler's own thread-locals win: their address is a constant from the \
                  thread's register, so the read is one instruction. Ours reads the table's \
                  address, the slot and the key in it, and compares: all inlined, no call. glibc \
                  calls a function, which checks the key's number and its sequence count; its \
                  first 32 keys have slots inside the thread's own descriptor and need no second \
                  table. Boost searches a tree, TBB a hash table.",
            unfair: "A __thread variable and a thread_local! are one variable each, known when \
                     the program is compiled: they can't be made at run time. The crates are \
                     optimised with this program as a whole.",
        })
}

fn get_many(peers: &Peers, id: &'static str, count: usize) -> Row {
    let work = format!("get, {count} keys");
    beside_all(peers, id, &work, Some((0.5, 0.3)), |peer| OneThread::get(peer, count))
        .counted()
        .told(Story {
            section: GET,
            why: "Ours and the crate are in front, and with fewer keys ours. Keys made one after \
                  the other have slots that never meet, so each of our reads is one compare in \
                  one table, whatever the number of keys. The crate has no table of keys: each \
                  object holds its own buckets, so it pays one chain of loads an object. \
                  pthread's keys above 31 need one more load. Boost's tree gets deeper.",
            unfair: "glibc has 1,024 keys in all, and GLib, C11 and TBB's ets_key_per_instance \
                     take theirs from these.",
        })
}

fn get_some(peers: &Peers) -> Row {
    let contender = |peer: &Peer| OneThread::get_some(peer, 100, 1000);
    beside_all(
        peers,
        "get-100-of-1000",
        "get, 100 set of 1000 keys, shuffled",
        Some((0.36, 0.28)),
        contender,
    )
    .counted()
    .told(Story {
        section: GET,
        why: "The crate wins: it goes straight to the object's own bucket, whatever other keys \
              there are. Our table is for the 100 keys that have values, so some of an arbitrary \
              hundred are not on their home slot, and each of these costs a call. Who indexes an \
              array by the key's number does not know this: it has room for all 1,000 keys in \
              every thread.",
        unfair: "",
    })
}

fn set(peers: &Peers) -> Row {
    beside_all(
        peers,
        "set",
        "set over a value, nothing destroyed",
        Some((1.1, 0.8)),
        OneThread::set,
    )
    .counted()
    .told(Story {
        section: STORE,
        why: "Where the address is enough, a store is a store: the compiler's thread-locals and \
              the crate win, for they hand out a reference to the place. A set of ours is a call: \
              it finds the slot, checks that no visit is reading the value, and stores. pthread \
              stores in a fixed slot, after two checks.",
        unfair: "Qt is not here: it destroys the old value in every set.",
    })
}

fn replace(peers: &Peers) -> Row {
    let work = "set over a value, which is destroyed";
    beside_all(peers, "set-callback", work, Some((1.4, 1.0)), OneThread::replace).counted().told(
        Story {
            section: STORE,
            why: "The destructors only count. The crate and TBB win: they keep the value in \
                  place, and the compiler inlines its destructor. Ours leaves the map whole \
                  before it calls back, because a callback may call any function on any key, its \
                  own included: that costs a few stores and checks.",
            unfair: "pthread and C11 destroy nothing on a set, so the caller does it by hand: \
                     get, set, call. The crate and TBB let nobody else reach the value, and have \
                     no callback to be safe from.",
        },
    )
}

/// The same among the pointer types of C++.
fn replace_cpp(peers: &Peers) -> Row {
    let us = peers.named("ours-cpp");
    let contender = |peer: &Peer| OneThread::replace(peer).expect("it can destroy");
    let mut row =
        Row::new("replace-cpp", "a C++ pointer is replaced, the old one deleted", contender(&us))
            .against(contender(&peers.named("pthread")), 1.4, Some(1.0));
    for id in ["ours", "boost", "tbb", "qt"] {
        if let Some(peer) = peers.get(id) {
            row = row.competitor(contender(&peer));
        }
    }
    row.counted().told(Story {
        section: STORE,
        why: "pthread wins, for its caller knows how a value ends. thread_local_ptr is our C set, \
              and looks first how this value and the one before end. Boost searches its tree for \
              the object first.",
        unfair: "TBB holds the value itself instead of a pointer, and replaces it by an \
                 assignment.",
    })
}

fn first(peers: &Peers, id: &'static str, work: &str, count: usize, bar: f64) -> Row {
    beside_all(peers, id, work, Some((bar, 2.5)), |peer| OneThread::first(peer, count))
        .counted()
        .told(Story {
            section: LIFE,
            why:
                "Who has a slot for each key, set or not, wins: pthread, C11, GLib and Qt store a \
              pointer and later store NULL. Ours makes an entry that the key knows of, so that a \
              release on another thread can find it, and takes both away again. Boost allocates a \
              node of its tree and frees it.",
            unfair:
                "None of the peers that win here can tell another thread that a value has to go. \
                 TBB and the crate can't take one thread's value away.",
        })
}

fn life(peers: &Peers) -> Row {
    beside_all(
        peers,
        "cycle",
        "create a key, set, get, destroy it",
        Some((2.5, 2.0)),
        OneThread::life,
    )
    .counted()
    .told(Story {
        section: LIFE,
        why: "pthread wins: it looks for a free place in an array of 1,024, and its delete adds \
              one to a number. It destroys no value. Ours makes a record and an entry, and \
              unmakes both. Boost's object is only an address.",
        unfair: "The crate, TBB and Boost make no key at all: the object is the key, here on the \
                 stack. GLib's GPrivate can't be destroyed.",
    })
}
