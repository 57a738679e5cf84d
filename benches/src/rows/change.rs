//! Storing values, and the life of a key.

use super::Row;
use crate::kernels::{Kernels, Place};
use crate::subjects::{Beside, CrateCycle, Ours, Pthread};

pub fn rows(kernels: &Kernels) -> Vec<Row> {
    vec![set(kernels), set_with_callback(kernels), cycle(kernels), cycle_beside_threads(kernels)]
}

fn set(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    Row::new(
        "set",
        "tls_set over a value, no callback",
        Ours::new("tls_set", kernel("set"), 1).storing(),
    )
    .against(
        Pthread::new("pthread_setspecific", kernel("pthread_set"), 1).storing(),
        1.3,
        Some(1.0),
    )
    .counted()
}

fn set_with_callback(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    let us = Ours::new("tls_set", kernel("set"), 1).storing_with_callback();
    Row::new("set-callback", "tls_set over a value, callback runs", us)
        .against(
            Pthread::new("pthread_setspecific", kernel("pthread_set"), 1).storing(),
            3.0,
            Some(2.0),
        )
        .counted()
}

fn cycle(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    Row::new(
        "cycle",
        "create key, set, get, release",
        Ours::new("a key's life", kernel("cycle"), 0),
    )
    .against(Pthread::new("pthread key's life", kernel("pthread_cycle"), 0), 4.0, Some(2.0))
    .beside(CrateCycle)
    .counted()
}

/// The crowd is gathered anew for each batch: so only every fourth round.
fn cycle_beside_threads(kernels: &Kernels) -> Row {
    let cycle = |name| Ours::new(name, kernels.named(Place::Program, "cycle"), 0);
    let crowded = Beside::new("beside 1000", 1000, cycle("a key's life"));
    Row::new("cycle-crowd", "a key's life beside 1000 idle threads", crowded)
        .against(cycle("ours alone"), 1.2, Some(1.0))
        .every(4)
}
