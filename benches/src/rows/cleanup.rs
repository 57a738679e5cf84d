// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking for stale entries when there are none. A pool does this after every
//! task, and seldom finds any.

use super::Row;
use crate::contenders::{Ours, Pthread};
use crate::kernels::{Kernels, Place};

pub fn rows(kernels: &Kernels) -> Vec<Row> {
    vec![stale_count(kernels), expunge(kernels)]
}

fn stale_count(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    Row::new(
        "stale-count",
        "tls_stale_count(), nothing stale",
        Ours::new("", kernel("stale_count"), 1),
    )
    .at_most(2.0)
    .competitor(Pthread::new("pthread_getspecific", kernel("pthread_get_one"), 1))
    .counted()
}

fn expunge(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    Row::new("expunge", "tls_expunge(), nothing stale", Ours::new("", kernel("expunge"), 1))
        .against(Ours::new("exported tls_get", kernel("get_exported_one"), 1), 1.5, None)
        .counted()
}
