//! Storing values, and the life of a key.

use super::Row;
use crate::contenders::{CrateCycle, Ours, Pthread};
use crate::kernels::{Kernels, Place};

pub fn rows(kernels: &Kernels) -> Vec<Row> {
    vec![set(kernels), set_with_callback(kernels), cycle(kernels)]
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
    .competitor(CrateCycle)
    .counted()
}
