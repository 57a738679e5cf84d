// SPDX-License-Identifier: MIT OR Apache-2.0
//! Costs that must not grow with the number of threads or keys.
//!
//! The same operation is measured with many and with few threads or keys, in one
//! round, and the bar is for the ratio. The threads and keys are made again for each
//! batch, which takes long, so only some of the rounds measure these rows.

use super::{Row, Scale};
use crate::contenders::{AmongKeys, AmongThreads, Ours, Releases};
use crate::kernels::{Kernels, Place};

/// The cost does not grow, but caches and a shared machine change a short time by so
/// much.
const FLAT: f64 = 1.2;
/// The memory of each holder is another cache miss, and with more holders the
/// processor predicts less well. If the cost grew with the square of the number of
/// holders, this ratio would be ten.
const FLAT_PER_HOLDER: f64 = 3.0;

pub fn rows(kernels: &Kernels, scale: Scale) -> Vec<Row> {
    let mut rows = vec![
        release(kernels, "release-0", "release, no holder, 1000 threads", 0),
        release(kernels, "release-1", "release, 1 holder among 1000 threads", 1),
        release(kernels, "release-10", "release, 10 holders among 1000 threads", 10),
        release_all(kernels),
        life_beside_threads(kernels, "cycle-idle-100", 100),
        life_beside_threads(kernels, "cycle-idle", 1000),
    ];
    rows.extend(beside_very_many_threads(kernels, scale));
    rows.extend(beside_very_many_keys(kernels, scale));
    rows
}

fn release(kernels: &Kernels, id: &'static str, work: &str, holders: usize) -> Row {
    let among = |threads| Releases::new(kernels.named(Place::Program, "release"), holders, threads);
    Row::new(id, work, among(1000))
        .against(among(10), FLAT, Some(1.0))
        .competitor(among(100))
        .every(3)
}

fn release_all(kernels: &Kernels) -> Row {
    let all = |threads| Releases::of_all(kernels.named(Place::Program, "release"), threads);
    Row::new("release-all", "release, each holder's share, 1000 holders", all(1000))
        .against(all(100), FLAT_PER_HOLDER, None)
        .competitor(all(10))
        .every(3)
}

fn life(kernels: &Kernels) -> Ours {
    Ours::new("no idle threads", kernels.named(Place::Program, "cycle"), 0)
        .drawn("a key's life: create, set, get, release")
}

fn life_beside_threads(kernels: &Kernels, id: &'static str, threads: usize) -> Row {
    let work = format!("a key's life with {threads} idle threads");
    Row::new(id, work, AmongThreads::new(threads, life(kernels)))
        .against(life(kernels), FLAT, Some(1.0))
        .every(3)
}

/// Starting the threads takes seconds, so few rounds measure these rows.
fn beside_very_many_threads(kernels: &Kernels, scale: Scale) -> Vec<Row> {
    let threads = scale.of(10_000);
    let kernel = |name| kernels.named(Place::Program, name);
    let row = |id, what: &str, contender: &dyn Fn() -> Ours| {
        Row::new(
            id,
            format!("{what} with {threads} threads"),
            AmongThreads::new(threads, contender()),
        )
        .against(AmongThreads::new(10, contender()), FLAT, Some(1.0))
        .every(8)
    };
    vec![
        row("get-idle-10000", "tls_get hit inlined", &|| Ours::new("", kernel("get_one"), 1)),
        row("set-idle-10000", "tls_set that replaces a value", &|| {
            Ours::new("", kernel("set"), 1).storing()
        }),
        row("cycle-idle-10000", "a key's life", &|| life(kernels)),
    ]
}

/// The values of the other keys are on the same thread, in the same table.
fn beside_very_many_keys(kernels: &Kernels, scale: Scale) -> Vec<Row> {
    let keys = scale.of(1_000_000);
    let kernel = |name| kernels.named(Place::Program, name);
    let row = |id, what: &str, contender: &dyn Fn() -> Ours| {
        let among = || AmongKeys::new(keys, contender());
        Row::new(id, format!("{what} with {keys} keys"), among())
            .against(among().dropped(), FLAT, Some(1.0))
            .every(8)
    };
    vec![
        // One key may or may not be in its home slot by chance, so this uses a hundred keys.
        row("get-million", "100 tls_get hits", &|| Ours::new("", kernel("get_many"), 100)),
        row("set-million", "tls_set that replaces a value", &|| {
            Ours::new("", kernel("set"), 1).storing()
        }),
        row("cycle-million", "a key's life", &|| Ours::new("", kernel("cycle"), 0)),
    ]
}
