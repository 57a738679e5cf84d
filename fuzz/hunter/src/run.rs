// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run, in a process of its own.
//!
//! The process is forked from one that has never called the library, so every
//! run begins with the library as it is when it is loaded, and a crash or a hang
//! hurts nothing but itself. An alarm ends what takes too long.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::callbacks::{self, argument};
use crate::ffi;
use crate::finish::finish;
use crate::ops;
use crate::program::{Program, Without};
use crate::report::{self, fail, FAILED};
use crate::world::{become_worker, libc_cancel, pause, world, Mode, World, CONDUCTOR};

/// How a run is made.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) without: Without,
    /// Seconds until a run is a hang.
    pub(crate) patience: u32,
    /// Says what happens, as it happens.
    pub(crate) traces: bool,
    /// Of many threads.
    pub(crate) lasts: Duration,
}

/// Plays an input in a child process. Returns what is wrong, if something is.
pub(crate) fn run(bytes: &[u8], settings: Settings) -> Option<String> {
    report::clear();
    // SAFETY: This process has one thread, and has never called the library.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process can be made");
    if child == 0 {
        play(bytes, settings);
    }
    let mut status = 0;
    // SAFETY: The pointer is good.
    while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {}
    let text = report::text();
    let detail = if text.is_empty() { String::new() } else { format!(" ({text})") };
    if libc::WIFSIGNALED(status) {
        return Some(match libc::WTERMSIG(status) {
            libc::SIGALRM => format!("hangs{detail}"),
            signal => format!("is ended by signal {signal}{detail}"),
        });
    }
    match libc::WEXITSTATUS(status) {
        0 => None,
        FAILED => Some(text),
        other => Some(format!("ends with status {other}{detail}")),
    }
}

fn play(bytes: &[u8], settings: Settings) -> ! {
    // SAFETY: Ends the process if it hangs. Cores are of no use.
    unsafe {
        libc::alarm(settings.patience + settings.lasts.as_secs() as u32);
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
    }
    let program = Program::decode(bytes, settings.without);
    let threads = program.threads.len();
    let deadline = Instant::now() + settings.lasts;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location();
        let (file, line) = place.map_or(("", 0), |place| (place.file(), place.line()));
        let file = file.rsplit("src/").next().unwrap_or("");
        let what = panic.payload();
        let text = what.downcast_ref::<&str>().copied();
        let text = text.or(what.downcast_ref::<String>().map(String::as_str));
        fail(format_args!("panic in {file}, line {line}: {}", text.unwrap_or("")));
    }));
    World::install(program, settings, deadline);
    become_worker(CONDUCTOR);
    load_unwinder();
    let world = world();
    let me = &world.workers[CONDUCTOR];
    // The oldest: its destructor comes first in every pass.
    make_os_key(callbacks::CLOCK, callbacks::count_passes);
    make_os_key(0, callbacks::older_destructor);
    // The library makes its own pthread key at the first attaching.
    // SAFETY: Any thread may.
    unsafe {
        ffi::tls_thread_attach();
        ffi::tls_thread_detach();
    }
    make_os_key(1, callbacks::younger_destructor);
    for slot in 0..world.program.keys.len() {
        ops::create_key(me, slot);
    }
    for number in 0..threads {
        start(number);
    }
    if settings.mode == Mode::Turns {
        world.pass(0);
        world.wait_for_turn(me);
    } else {
        join_all(threads);
    }
    finish(me);
    // SAFETY: Ends the process.
    unsafe { libc::_exit(0) }
}

/// The C library loads the unwinder when a thread first ends by force. A fork in the middle
/// of that would leave the child with half of it.
fn load_unwinder() {
    extern "C" fn leave(_: *mut c_void) -> *mut c_void {
        // SAFETY: Nothing in this frame has to be dropped.
        unsafe { ffi::pthread_exit(null_mut()) }
    }
    let thread = make_thread(leave, 0);
    // SAFETY: It is joined once.
    unsafe { libc::pthread_join(thread, null_mut()) };
}

fn make_os_key(which: usize, destructor: extern "C" fn(*mut c_void)) {
    let mut key = 0;
    // SAFETY: The pointer is good; the destructor takes what is stored.
    if unsafe { libc::pthread_key_create(&mut key, Some(destructor)) } != 0 {
        fail(format_args!("no pthread key"));
    }
    world().os_keys[which].store(key, SeqCst);
}

fn make_thread(function: extern "C" fn(*mut c_void) -> *mut c_void, number: usize) -> u64 {
    let mut thread = 0;
    // SAFETY: The pointer is good; the function takes a number.
    let code =
        unsafe { libc::pthread_create(&mut thread, core::ptr::null(), function, argument(number)) };
    if code != 0 {
        fail(format_args!("no thread can be made"));
    }
    thread
}

fn start(number: usize) {
    let worker = &world().workers[number];
    worker.thread.store(make_thread(work, number), SeqCst);
    worker.alive.store(true, SeqCst);
    if world().mode == Mode::Turns {
        make_thread(keep, number);
    }
}

fn join(number: usize) {
    let worker = &world().workers[number];
    // SAFETY: It is joined once.
    unsafe { libc::pthread_join(worker.thread.load(SeqCst), null_mut()) };
}

/// Joins a thread that takes turns, and passes the turn on: the end of a thread
/// is over only then.
extern "C" fn keep(number: *mut c_void) -> *mut c_void {
    let worker = &world().workers[callbacks::body_of(number)];
    join(worker.number);
    worker.with_life(|| world().pass_on_from(worker));
    null_mut()
}

/// Joins all threads, when all have begun to end.
fn join_all(threads: usize) {
    let all = &world().workers[..threads];
    while !all.iter().all(|worker| worker.ending.load(SeqCst)) {
        std::thread::sleep(Duration::from_micros(50));
    }
    for worker in all {
        worker.with_life(|| worker.alive.store(false, SeqCst));
        join(worker.number);
    }
}

extern "C" fn work(number: *mut c_void) -> *mut c_void {
    become_worker(callbacks::body_of(number));
    callbacks::start_clock(argument(1));
    let world = world();
    let me = &world.workers[callbacks::body_of(number)];
    let mut cleanup = ffi::Cleanup::new();
    // SAFETY: The buffer lies in this frame until it is popped.
    unsafe {
        ffi::pthread_setcancelstate(libc_cancel::DISABLE, null_mut());
        ffi::_pthread_cleanup_push(&mut cleanup, callbacks::cleanup_handler, null_mut());
    }
    if world.mode == Mode::Turns {
        world.wait_for_turn(me);
    }
    list(callbacks::body_of(number));
    // SAFETY: It was pushed in this frame.
    unsafe { ffi::_pthread_cleanup_pop(&mut cleanup, 0) };
    if world.forked.load(SeqCst) {
        finish(me);
        // SAFETY: Ends the process.
        unsafe { libc::_exit(0) };
    }
    me.begin_ending(false);
    null_mut()
}

/// A thread's operations. In a frame of its own: the handler of the frame above
/// is called when this one is left by force.
#[inline(never)]
fn list(number: usize) {
    let world = world();
    let me = &world.workers[number];
    loop {
        for op in &world.program.threads[number] {
            pause(me);
            ops::perform(me, *op);
        }
        if world.mode != Mode::Many {
            return;
        }
        if Instant::now() >= world.deadline {
            // What callbacks set while their thread ends may be given up.
            world.quiet.store(true, SeqCst);
            return;
        }
    }
}
