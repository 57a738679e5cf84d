// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares this library with every peer on one thread: get, set, and the life of a key.

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

/// Makes a row: this library in C comes first, then this library used in other ways, then all
/// peers that can do the work. The limits are for the ratio to pthread keys.
pub fn beside_all<C: Contender + 'static>(
    peers: &Peers,
    id: &'static str,
    work: &str,
    limits: Option<(f64, f64)>,
    contender: impl Fn(&Peer) -> Option<C>,
) -> Row {
    let us = peers.named("ours");
    let mut row = Row::new(id, work, contender(&us).expect("this library can do everything"));
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
            why: "std's thread_local! and __thread are fastest: the address of the variable is a \
                  constant offset from a register, so a read is one instruction. This library \
                  reads the address of the thread's table, the slot of the key and the key in \
                  that slot, and compares the key; all of this is inlined. With pthread keys, a \
                  get is a call into glibc, which checks the number of the key and its sequence \
                  count. The values of the first 32 keys are in the thread descriptor itself. \
                  Boost searches a tree, and oneTBB a hash table.",
            unfair: "A __thread variable and a thread_local! cannot be created at run time. The \
                     crate and std are optimised together with the program.",
        })
}

fn get_many(peers: &Peers, id: &'static str, count: usize) -> Row {
    let work = format!("get, {count} keys");
    beside_all(peers, id, &work, Some((0.5, 0.3)), |peer| OneThread::get(peer, count))
        .counted()
        .told(Story {
            section: GET,
            why: "This library and the crate are fastest, and this library is ahead when there \
                  are fewer keys. Keys that were created one after the other have different home \
                  slots, so a get compares one key in one table for any number of keys. The \
                  crate has no table of keys: each object has its own buckets, so each get \
                  follows the pointers of another object. A pthread key that is not one of the \
                  first 32 needs one more load. Boost's tree becomes deeper.",
            unfair: "glibc has 1,024 pthread keys for each process; GLib, C11 and oneTBB \
                     ets_key_per_instance use the same keys.",
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
        why: "The crate is fastest: it finds the bucket from the object itself, whatever other \
              objects exist. This library's table has room for the 100 keys with values, so some \
              of an arbitrary hundred keys are not in their home slot, and a get of such a key \
              is a call. A library that uses the number of the key as an index into an array \
              does not have this cost, but its array needs room for all 1,000 keys in each \
              thread.",
        unfair: "",
    })
}

fn set(peers: &Peers) -> Row {
    beside_all(
        peers,
        "set",
        "set that replaces a value, without destroy",
        Some((1.1, 0.8)),
        OneThread::set,
    )
    .counted()
    .told(Story {
        section: STORE,
        why: "__thread, std and the crate are fastest: they give the program a reference to the \
              value, so a set is a store. In this library, a set is a call: it finds the slot, \
              checks that no other thread visits the value, and stores. pthread_setspecific() \
              stores in a fixed slot after two checks.",
        unfair: "Qt is not measured here, because it destroys the old value in each set.",
    })
}

fn replace(peers: &Peers) -> Row {
    let work = "set that replaces and destroys a value";
    beside_all(peers, "set-callback", work, Some((1.4, 1.0)), OneThread::replace).counted().told(
        Story {
            section: STORE,
            why: "The destructor only adds one to a counter. The crate and oneTBB \
                  ets_key_per_instance are fastest: they keep the value in place, and the \
                  compiler inlines its destructor. This library stores the new value and \
                  completes its own data before it calls the destructor, because the destructor \
                  may call any function of the library with any key. This takes some more stores \
                  and checks.",
            unfair: "pthread keys and C11 destroy nothing in a set, so the benchmark gets the \
                     old value, sets the new one and calls the destructor. With the crate and \
                     oneTBB, no other thread may use the value during the set, and there is no \
                     callback.",
        },
    )
}

/// The same with the pointer types of C++.
fn replace_cpp(peers: &Peers) -> Row {
    let us = peers.named("ours-cpp");
    let contender = |peer: &Peer| OneThread::replace(peer).expect("it can destroy");
    let mut row =
        Row::new("replace-cpp", "set of a C++ pointer, the old one is deleted", contender(&us))
            .against(contender(&peers.named("pthread")), 1.4, Some(1.0));
    for id in ["ours", "boost", "tbb", "qt"] {
        if let Some(peer) = peers.get(id) {
            row = row.competitor(contender(&peer));
        }
    }
    row.counted().told(Story {
        section: STORE,
        why: "pthread keys are fastest: the benchmark itself calls the destructor, which it \
              knows. tls::thread_local_ptr calls the C function for a set, and first checks how \
              the new value and the old value must be destroyed. Boost first searches its tree \
              for the object.",
        unfair: "oneTBB stores the value itself and not a pointer, and replaces it by an \
                 assignment.",
    })
}

fn first(peers: &Peers, id: &'static str, work: &str, count: usize, bar: f64) -> Row {
    beside_all(peers, id, work, Some((bar, 2.5)), |peer| OneThread::first(peer, count))
        .counted()
        .told(Story {
            section: LIFE,
            why: "Libraries that have a slot for each key, used or not, are fastest: pthread \
                 keys, C11, GLib and Qt store a pointer, and later store NULL. This library \
                 makes an entry and registers it with the key, so that a release on another \
                 thread finds it, and then removes both. Boost allocates a node of its tree and \
                 frees it.",
            unfair: "With the peers that are fastest here, the release of a key on another thread \
                 cannot find the value. oneTBB and the crate cannot remove the value of one \
                 thread, so they are not measured.",
        })
}

fn life(peers: &Peers) -> Row {
    beside_all(
        peers,
        "cycle",
        "create a key, set, get, destroy the key",
        Some((2.5, 2.0)),
        OneThread::life,
    )
    .counted()
    .told(Story {
        section: LIFE,
        why: "pthread keys are fastest: pthread_key_create() searches an array of 1,024 elements \
              for a free one, and pthread_key_delete() adds one to a number and destroys no \
              value. This library makes a record for the key and an entry, and removes both. In \
              Boost, a key is only the address of an object.",
        unfair: "In the crate, oneTBB and Boost, the object itself is the key, and here it is on \
                 the stack. A GPrivate cannot be destroyed, so GLib is not measured.",
    })
}
