// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gets that find a value.

use super::Row;
use crate::contenders::{CrateGet, Ours, Plain, Pthread};
use crate::kernels::{Kernels, Place};

pub fn rows(kernels: &Kernels) -> Vec<Row> {
    let mut rows = vec![loop_alone(kernels), flatness(kernels)];
    rows.push(shuffled(kernels, "get-100-shuffled", "inlined, 100 keys in shuffled order", 100));
    rows.push(shuffled(kernels, "get-1000-shuffled", "inlined, 1000 keys in shuffled order", 1000));
    rows.push(scattered(
        kernels,
        "get-100-scattered",
        "inlined, 100 arbitrary keys of 800 live",
        100,
    ));
    rows.push(scattered(
        kernels,
        "get-1000-scattered",
        "inlined, 1000 arbitrary keys of 8000 live",
        1000,
    ));
    rows.push(one_key_in_object(kernels));
    rows.push(many_keys_in_object(kernels));
    rows.push(from_cpp(kernels, "cpp-pointer", "C++: thread_local_ptr::get", "cpp_pointer"));
    rows.push(from_cpp(kernels, "cpp-local", "C++: local::get", "cpp_local"));
    rows.push(alone_in_function(
        kernels,
        Place::Program,
        "call-1",
        "tls_get alone in a function, in the program",
    ));
    rows.push(alone_in_function(
        kernels,
        Place::Object,
        "object-call-1",
        "tls_get alone in a function, in the object",
    ));
    rows.push(exported(kernels));
    rows.push(exported_in_object(kernels));
    rows
}

/// The loop itself, which is included in the times of every row.
fn loop_alone(kernels: &Kernels) -> Row {
    let empty =
        |name, kernel, count| Plain::new(name, kernels.named(Place::Program, kernel), count);
    Row::new("loop", "the loop alone, included in all other times", empty("", "empty_one", 1))
        .competitor(empty("loop over 100 keys", "empty_many", 100))
        .competitor(empty("loop over 1000 keys", "empty_many", 1000))
        .counted()
}

fn flatness(kernels: &Kernels) -> Row {
    let over = |name, count| Ours::new(name, kernels.named(Place::Program, "get_many"), count);
    Row::new("get-flat", "tls_get hit inlined, 1000 keys or 100 keys", over("tls_get", 1000))
        .against(over("100 keys", 100), 1.15, None)
}

fn shuffled(kernels: &Kernels, id: &'static str, work: &'static str, count: usize) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    Row::new(id, work, Ours::new("tls_get", kernel("get_many"), count).shuffled())
        .competitor(
            Pthread::new("pthread_getspecific", kernel("pthread_get_many"), count).shuffled(),
        )
        .competitor(CrateGet::new(count).shuffled())
}

/// Keys that were created one after the other have different home slots. Some of
/// these keys share a home slot, as in any hash table; a get of a key that is not in
/// its home slot makes the exported call.
fn scattered(kernels: &Kernels, id: &'static str, work: &'static str, count: usize) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    Row::new(id, work, Ours::new("tls_get", kernel("get_many"), count).scattered())
        .competitor(Pthread::new("pthread_getspecific", kernel("pthread_get_many"), count))
        .competitor(CrateGet::new(count))
        .counted()
}

/// The same loop in C++: it calls the get of C, and checks whether there is a value.
fn from_cpp(kernels: &Kernels, id: &'static str, work: &'static str, kernel: &'static str) -> Row {
    let named = |name| kernels.named(Place::Program, name);
    Row::new(id, work, Ours::new("C++", named(kernel), 1))
        .against(Ours::new("tls_get in C", named("get_one"), 1), 1.1, None)
        .counted()
}

fn one_key_in_object(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Object, name);
    Row::new(
        "object-1",
        "inlined in a -fPIC shared object, 1 key",
        Ours::new("tls_get", kernel("get_one"), 1),
    )
    .against(Pthread::new("pthread_getspecific", kernel("pthread_get_one"), 1), 0.6, Some(0.35))
    .competitor(Plain::new("__thread", kernel("raw_one"), 1))
    .counted()
}

fn many_keys_in_object(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Object, name);
    let us = Ours::new("tls_get", kernel("get_many"), 1000);
    Row::new("object-1000", "inlined in a -fPIC shared object, 1000 keys", us)
        .against(
            Pthread::new("pthread_getspecific", kernel("pthread_get_many"), 1000),
            0.6,
            Some(0.35),
        )
        .competitor(Plain::new("__thread", kernel("raw_many"), 1000))
}

/// A function that the compiler may not inline, with one access in it. The call is
/// included in all times, and nothing is kept from one access to the next.
fn alone_in_function(kernels: &Kernels, place: Place, id: &'static str, work: &'static str) -> Row {
    let kernel = |name| kernels.named(place, name);
    Row::new(id, work, Ours::new("tls_get", kernel("get_call"), 1))
        .competitor(Pthread::new("pthread_getspecific", kernel("pthread_get_call"), 1))
        .competitor(Plain::new("__thread", kernel("raw_call"), 1))
        .competitor(Plain::new("an empty function", kernel("empty_call"), 1))
        .counted()
}

fn exported(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Program, name);
    let us = Ours::new("tls_get (call)", kernel("get_exported_one"), 1);
    Row::new("exported-1", "tls_get as an exported function, 1 key", us)
        .against(Pthread::new("pthread_getspecific", kernel("pthread_get_one"), 1), 1.25, Some(1.0))
        .counted()
}

fn exported_in_object(kernels: &Kernels) -> Row {
    let kernel = |name| kernels.named(Place::Object, name);
    let us = Ours::new("tls_get (call)", kernel("get_exported_many"), 100);
    Row::new("exported-object-100", "exported, from a shared object, 100 keys", us)
        .competitor(Pthread::new("pthread_getspecific", kernel("pthread_get_many"), 100))
}
