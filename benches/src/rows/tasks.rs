// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scopes, contexts, tasks, and maps that move between threads: what a pool or a
//! scheduler does for every task.

use super::Row;
use crate::contenders::{Ours, Plain, Pthread};
use crate::kernels::{Kernels, Place};

pub fn rows(kernels: &Kernels) -> Vec<Row> {
    let mut rows = vec![empty_scope(kernels)];
    rows.push(scope(kernels, "scope-1", "a scope with 1 set", 1));
    rows.push(scope(kernels, "scope-10", "a scope with 10 sets", 10));
    for (id, count) in [("capture-1", 1), ("capture-10", 10), ("capture-100", 100)] {
        rows.push(inherited(kernels, id, "capture and free a context", "capture", count));
    }
    for (id, count) in [("replay-1", 1), ("replay-10", 10), ("replay-100", 100)] {
        rows.push(inherited(kernels, id, "a scope with a context", "replay", count));
    }
    rows.push(task(kernels));
    rows.push(map_switch(kernels));
    rows.push(get_inside(
        kernels,
        "get-1-scope",
        "tls_get hit inlined, in a scope",
        "get_in_scope",
    ));
    rows.push(get_inside(kernels, "get-1-map", "tls_get hit inlined, in a map", "get_in_map"));
    rows
}

fn exported_get(kernels: &Kernels) -> Ours {
    Ours::new("exported tls_get", kernels.named(Place::Program, "get_exported_one"), 1)
}

fn empty_scope(kernels: &Kernels) -> Row {
    let us = Ours::new("begin and end", kernels.named(Place::Program, "scope"), 0);
    Row::new("scope-0", "an empty scope", us).against(exported_get(kernels), 10.0, None).counted()
}

fn scope(kernels: &Kernels, id: &'static str, work: &str, count: usize) -> Row {
    let us = Ours::new("begin, set, end", kernels.named(Place::Program, "scope"), count);
    Row::new(id, work, us).competitor(exported_get(kernels)).counted()
}

fn inherited(kernels: &Kernels, id: &'static str, work: &str, kernel: &str, count: usize) -> Row {
    let us = Ours::new("all values", kernels.named(Place::Program, kernel), count).inherited();
    Row::new(id, format!("{work}, {count} values"), us).competitor(exported_get(kernels)).counted()
}

fn task(kernels: &Kernels) -> Row {
    let us = Ours::new("create and run", kernels.named(Place::Program, "task"), 0);
    let call = Plain::new("a plain call", kernels.named(Place::Program, "plain_call"), 1);
    Row::new("task", "a task without inherited values", us).competitor(call).counted()
}

fn map_switch(kernels: &Kernels) -> Row {
    let us = Ours::new("tls_map_switch", kernels.named(Place::Program, "map_switch"), 0);
    Row::new("map-switch", "a switch between two maps", us)
        .against(exported_get(kernels), 3.0, None)
        .counted()
}

/// The limits are those of the same hit outside of a scope.
fn get_inside(kernels: &Kernels, id: &'static str, work: &str, kernel: &str) -> Row {
    let us = Ours::new("tls_get", kernels.named(Place::Program, kernel), 1);
    let peer =
        Pthread::new("pthread_getspecific", kernels.named(Place::Program, "pthread_get_one"), 1);
    let outside = Ours::new("tls_get outside", kernels.named(Place::Program, "get_one"), 1);
    Row::new(id, work, us).against(peer, 0.35, Some(0.22)).competitor(outside).counted()
}
