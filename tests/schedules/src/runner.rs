// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runner: plays a script, one thread for each part, and then the end of
//! everything; and checks what must hold after any schedule.
//!
//! * Each value that the library took is destroyed exactly once, on a thread that
//!   the key allows, or handed over; each key's `user_free` is called once, after
//!   that (see [`crate::oracle`]).
//! * A call fails only for a reason that the script gives it.
//! * When all threads are through, each one's stale count is exactly the number
//!   of its values that are to be destroyed, and so is what it expunges.
//! * After a drain that found nothing, nothing is called.
//! * At the end no memory is in use, no key, no map and no context is left.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::ptr::null_mut;
use std::sync::Arc;

use threadlocalmap::capi::cleanup::{
    tls_expunge, tls_hook_options_t, tls_stale_count, tls_thread_attach, tls_thread_detach,
    tls_thread_hook, tls_thread_on_stale,
};
use threadlocalmap::capi::constants::{
    tls_key_t, TLS_ERR_ABSENT, TLS_ERR_BUSY, TLS_ERR_DEAD_KEY, TLS_ERR_TIMEOUT,
    TLS_HOOK_BEFORE_VALUES, TLS_OK,
};
use threadlocalmap::capi::keys::{
    tls_key_create, tls_key_is_live, tls_key_options_t, tls_key_release, tls_key_retain,
};
use threadlocalmap::capi::maps::{
    tls_map_create, tls_map_current, tls_map_destroy, tls_map_switch, tls_map_t,
};
use threadlocalmap::capi::others::{
    tls_for_each, tls_for_each_locked, tls_key_drain, tls_key_purge, tls_scrape,
};
use threadlocalmap::capi::stats::{tls_stats, tls_stats_t};
use threadlocalmap::capi::tasks::{
    tls_context_capture, tls_context_free, tls_context_t, tls_scope_begin, tls_scope_end,
    tls_scope_t, tls_task_cancel, tls_task_create, tls_task_run, tls_task_t,
};
use threadlocalmap::capi::values::{
    tls_get, tls_get_existing, tls_remove, tls_set, tls_swap, tls_take,
};
use threadlocalmap::sys::modelled::{self, Checker};

use crate::oracle;
use crate::orderings::Weakened;
pub use crate::script::{Op, Script};

/// A checker that can run threads.
pub trait Machine: Checker {
    /// A thread that can be waited for.
    type Thread;
    /// Begins an execution, with these places weakened.
    fn begin(&'static self, script: &Script, weakened: &[Weakened]);
    /// The calling thread plays another from now on, or itself again.
    fn play(&self, thread: Option<u64>);
    /// Runs `work` on a new thread.
    fn spawn(&self, work: impl FnOnce() + Send + 'static) -> Self::Thread;
    /// Waits for a thread.
    fn join(&self, thread: Self::Thread);
    /// Pieces of memory that the library has.
    fn memory_in_use(&self) -> usize;
    /// What the checker has found.
    fn found(&self) -> Vec<String>;
}

/// A context or a task, and what it has captured.
struct Captured {
    /// The thread that may use it; none: all.
    of: Option<u64>,
    memory: *mut c_void,
    values: Vec<usize>,
    is_task: bool,
}

/// What the threads of an execution have, beside what the library keeps. All of
/// them run on one thread of the system.
#[derive(Default)]
struct Things {
    captured: Vec<Captured>,
    /// The open scopes, by map: that which threads share is 0.
    scopes: HashMap<u64, Vec<tls_scope_t>>,
    play: Option<Fixture>,
}

std::thread_local! {
    static THINGS: RefCell<Things> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Things) -> T) -> T {
    THINGS.with_borrow_mut(work)
}

/// A map that threads take turns with.
#[derive(Clone, Copy)]
struct Shared(*mut tls_map_t);

// SAFETY: A thread that switches to it is refused while another has it.
unsafe impl Send for Shared {}

/// What all threads of an execution know.
#[derive(Clone)]
struct Fixture {
    script: Arc<Script>,
    handle: tls_key_t,
    key: usize,
    map: Shared,
    /// The handle that the slot's next key will have.
    next: tls_key_t,
}

/// Plays the script once.
///
/// # Panics
///
/// With what was found.
pub fn play<M: Machine>(machine: &'static M, script: &Script, weakened: &[Weakened]) {
    machine.begin(script, weakened);
    let moving = script.has(&[Op::Switch]);
    oracle::begin(machine, moving, &script.text);
    with(|things| *things = Things::default());
    let fixture = Fixture::new(machine, script, moving);
    machine.play(None);
    let threads: Vec<_> = (1..script.parts.len())
        .map(|number| {
            let fixture = fixture.clone();
            machine.spawn(move || fixture.perform(&fixture.script.parts[number].then))
        })
        .collect();
    fixture.perform(&script.parts[0].then);
    threads.into_iter().for_each(|thread| machine.join(thread));
    fixture.finish(machine);
    let mut found = oracle::found();
    found.extend(machine.found());
    assert!(found.is_empty(), "{}\n{}", script.text, found.join("\n"));
}

fn create(options: *const tls_key_options_t) -> Result<tls_key_t, c_int> {
    let mut handle = 0;
    // SAFETY: A variable of ours, and options or null.
    ok(unsafe { tls_key_create(&mut handle, options) }).map(|()| handle)
}

fn ok(code: c_int) -> Result<(), c_int> {
    match code {
        TLS_OK => Ok(()),
        error => Err(error),
    }
}

impl Fixture {
    /// Makes the key, and plays what comes before.
    fn new<M: Machine>(machine: &M, script: &Script, moving: bool) -> Self {
        // Two keys of one slot say how far apart their handles are.
        let step = if script.has(&[Op::Guess]) {
            let made = [(); 2].map(|()| {
                let handle = create(std::ptr::null()).expect("there is memory");
                assert_eq!(tls_key_release(handle), TLS_OK);
                handle
            });
            made[1] - made[0]
        } else {
            0
        };
        let (options, key) = oracle::new_key(script.rules, script.init);
        let handle = create(&options).expect("there is memory");
        for _ in 1..script.count(Op::Release) {
            assert_eq!(tls_key_retain(handle), TLS_OK);
        }
        let mut map = null_mut();
        if moving {
            // SAFETY: A variable of ours.
            assert_eq!(unsafe { tls_map_create(&mut map) }, TLS_OK);
        }
        let (script, map) = (Arc::new(script.clone()), Shared(map));
        let fixture = Self { script, handle, key, map, next: handle.wrapping_add(step) };
        with(|things| things.play = Some(fixture.clone()));
        for (number, part) in fixture.script.parts.iter().enumerate() {
            machine.play(Some(number as u64 + 1));
            fixture.perform(&part.before);
        }
        with(|things| things.captured.iter_mut().for_each(|captured| captured.of = None));
        fixture
    }

    /// Whether an error has a reason in the script.
    fn may(&self, error: c_int) -> bool {
        let has = |ops: &[Op]| self.script.has(ops);
        match error {
            TLS_ERR_DEAD_KEY => has(&[Op::Release]),
            TLS_ERR_BUSY => has(&[Op::Visit, Op::Purge, Op::Scrape, Op::Switch]),
            _ => false,
        }
    }

    fn perform(&self, ops: &[Op]) {
        ops.iter().for_each(|op| self.take(*op));
    }

    fn take(&self, op: Op) {
        let outcome = self.call(op);
        oracle::settled();
        if let Err(error) = outcome {
            oracle::expect(self.may(error), || format!("{op:?} has failed with {error}"));
        }
    }

    fn call(&self, op: Op) -> Result<(), c_int> {
        let (handle, key, mut old) = (self.handle, self.key, null_mut());
        match op {
            Op::Set => self.store(|value| tls_set(handle, value)),
            Op::Swap => {
                oracle::asking(key);
                // SAFETY: A variable of ours.
                self.store(|value| unsafe { tls_swap(handle, value, &mut old) })?;
                oracle::handed_over(old);
                Ok(())
            }
            Op::Take => {
                oracle::asking(key);
                // SAFETY: A variable of ours.
                match unsafe { tls_take(handle, &mut old) } {
                    TLS_ERR_ABSENT => Ok(()),
                    code => ok(code).map(|()| oracle::handed_over(old)),
                }
            }
            Op::Remove => {
                oracle::removing(key);
                ok(tls_remove(handle))
            }
            Op::Get => {
                oracle::got(key, tls_get(handle));
                Ok(())
            }
            Op::Expunge => {
                tls_expunge();
                Ok(())
            }
            Op::Release => self.release(),
            Op::Attach => ok(tls_thread_attach()),
            Op::Detach => {
                self.leaving();
                ok(tls_thread_detach())
            }
            Op::Exit => {
                self.leaving();
                modelled::end_thread();
                Ok(())
            }
            Op::Visit => ok(tls_for_each(handle, Some(oracle::visit), oracle::user(key))),
            Op::Look => ok(tls_for_each_locked(handle, Some(oracle::visit), oracle::user(key))),
            // SAFETY: Null is allowed.
            Op::Purge => ok(unsafe { tls_key_purge(handle, null_mut()) }),
            Op::Scrape => ok(tls_scrape(handle, Some(oracle::receive), oracle::user(key))),
            Op::Drain => self.drain(0),
            Op::Wait => self.drain(-1),
            Op::Create => self.create(),
            Op::Use => {
                oracle::uses(key);
                Ok(())
            }
            Op::Guess => {
                let value = tls_get(self.next);
                if !value.is_null() {
                    oracle::got(oracle::key_of(value), value);
                }
                Ok(())
            }
            Op::Waker => {
                let me = modelled::current_thread() as usize as *mut c_void;
                ok(tls_thread_on_stale(Some(oracle::notify), me))
            }
            Op::Hook => {
                let options = tls_hook_options_t {
                    size: size_of::<tls_hook_options_t>(),
                    when: TLS_HOOK_BEFORE_VALUES,
                    flags: 0,
                    r#fn: Some(oracle::hook),
                    arg: oracle::user(key),
                    owner: handle,
                };
                // SAFETY: The size is said.
                ok(unsafe { tls_thread_hook(&raw const options) })
            }
            // SAFETY: The map is destroyed when all threads are through.
            Op::Switch => ok(unsafe { tls_map_switch(self.map.0, null_mut()) }),
            // SAFETY: The thread's own map.
            Op::Back => ok(unsafe { tls_map_switch(null_mut(), null_mut()) }),
            Op::Begin => self.begin(null_mut()),
            Op::End => self.end(),
            Op::Capture | Op::Submit => self.capture(op == Op::Submit),
            Op::Recapture => {
                oracle::set_in_copy(handle);
                self.capture(false)
            }
            Op::Enter => {
                let me = modelled::current_thread();
                let memory = with(|things| {
                    let mut all = things.captured.iter().rev();
                    let mine = all.find(|one| !one.is_task && one.of.is_none_or(|of| of == me));
                    mine.map(|captured| captured.memory)
                });
                memory.map_or(Ok(()), |memory| self.begin(memory.cast()))
            }
            Op::Free => {
                self.pick(false).iter().for_each(|captured| self.free(captured));
                Ok(())
            }
            Op::Cancel => {
                self.pick(true).iter().for_each(|captured| self.free(captured));
                Ok(())
            }
            Op::Run => {
                self.pick(true).iter().for_each(|task| self.run(task));
                Ok(())
            }
            Op::Stats => {
                stats();
                Ok(())
            }
        }
    }

    fn store(&self, call: impl FnOnce(*mut c_void) -> c_int) -> Result<(), c_int> {
        let value = oracle::new_value(self.key);
        oracle::offered(value);
        ok(call(value)).inspect_err(|_| oracle::declined(value))
    }

    /// The calling thread leaves its own map, and its scopes end.
    fn leaving(&self) {
        oracle::leaving();
        let me = modelled::current_thread();
        with(|things| things.scopes.remove(&me));
    }

    /// Releases; the calling thread's own value is destroyed then, if that was
    /// the last reference.
    fn release(&self) -> Result<(), c_int> {
        ok(tls_key_release(self.handle))?;
        let last = self.script.count(Op::Release) == 1
            && !self.script.has(&[
                Op::Visit,
                Op::Purge,
                Op::Scrape,
                Op::Switch,
                Op::Capture,
                Op::Recapture,
                Op::Submit,
            ]);
        if last {
            let me = modelled::current_thread();
            let left = oracle::held(self.key, Some(me));
            oracle::expect(left == 0, || format!("thread {me} has a value after its release"));
        }
        Ok(())
    }

    /// Drains; when a dead key has nothing left, its code can go.
    fn drain(&self, milliseconds: c_int) -> Result<(), c_int> {
        let dead = !tls_key_is_live(self.handle);
        let mut left = 0;
        // SAFETY: A variable of ours.
        match unsafe { tls_key_drain(self.handle, milliseconds, &mut left) } {
            TLS_OK => oracle::expect(left == 0, || format!("a drain has left {left}")),
            TLS_ERR_TIMEOUT => oracle::expect(left > 0, || "a drain has left nothing".into()),
            error => return Err(error),
        }
        let stores = [
            Op::Set,
            Op::Swap,
            Op::Get,
            Op::Enter,
            Op::Run,
            Op::Capture,
            Op::Recapture,
            Op::Submit,
        ];
        let mut all = self.script.parts.iter().flat_map(|part| &part.then);
        if dead && left == 0 {
            oracle::unload(self.key);
        } else if left == 0 && !all.any(|op| stores.contains(op)) {
            oracle::nobody_has_one(self.key);
        }
        Ok(())
    }

    /// Another key, in the place of the first if that is free.
    fn create(&self) -> Result<(), c_int> {
        let (options, key) = oracle::new_key(self.script.rules, self.script.init);
        let handle = create(&options)?;
        let value = oracle::new_value(key);
        oracle::offered(value);
        oracle::settled();
        oracle::expect(tls_set(handle, value) == TLS_OK, || "a new key can't be set".into());
        let seen = tls_get(handle);
        oracle::expect(seen == value, || "a new key has another's value".into());
        ok(tls_key_release(handle))?;
        let left = oracle::held(key, None);
        let alone = !self.script.has(&[Op::Guess]);
        oracle::expect(left == 0 || !alone, || {
            "a key's only value is there after its release".into()
        });
        Ok(())
    }

    /// The number of the map that the calling thread works on, for scopes.
    fn map_number(&self) -> u64 {
        if tls_map_current().is_null() {
            modelled::current_thread()
        } else {
            0
        }
    }

    /// Opens a scope, with a context or without.
    fn begin(&self, context: *mut tls_context_t) -> Result<(), c_int> {
        oracle::scope(true);
        let mut scope = 0;
        // SAFETY: A variable of ours, and a context that is freed by `free`.
        ok(unsafe { tls_scope_begin(&mut scope, context) })
            .inspect_err(|_| oracle::scope(false))?;
        let map = self.map_number();
        with(|things| things.scopes.entry(map).or_default().push(scope));
        Ok(())
    }

    /// Ends the innermost scope, if one is open.
    fn end(&self) -> Result<(), c_int> {
        let map = self.map_number();
        let Some(scope) = with(|things| things.scopes.entry(map).or_default().pop()) else {
            return Ok(());
        };
        oracle::ending_scope();
        oracle::scope(false);
        ok(tls_scope_end(scope))
    }

    /// Makes a context, or a task.
    fn capture(&self, is_task: bool) -> Result<(), c_int> {
        oracle::capturing();
        let memory = if is_task {
            let mut task: *mut tls_task_t = null_mut();
            // SAFETY: A variable of ours.
            ok(unsafe { tls_task_create(&mut task, Some(work), null_mut()) })
                .map(|()| task.cast::<c_void>())
        } else {
            let mut context: *mut tls_context_t = null_mut();
            // SAFETY: A variable of ours.
            ok(unsafe { tls_context_capture(&mut context) }).map(|()| context.cast())
        };
        let (values, of) = (oracle::captured(), Some(modelled::current_thread()));
        let memory = memory?;
        with(|things| things.captured.push(Captured { of, memory, values, is_task }));
        Ok(())
    }

    /// The newest context or task that the calling thread may use, which is its
    /// alone from now on.
    fn pick(&self, is_task: bool) -> Option<Captured> {
        let me = modelled::current_thread();
        with(|things| {
            let is_mine =
                |one: &Captured| one.is_task == is_task && one.of.is_none_or(|of| of == me);
            let mine = things.captured.iter().rposition(is_mine)?;
            Some(things.captured.remove(mine))
        })
    }

    fn free(&self, captured: &Captured) {
        match captured.is_task {
            // SAFETY: It was made by `capture`, and picked.
            true => unsafe { tls_task_cancel(captured.memory.cast()) },
            // SAFETY: As above.
            false => unsafe { tls_context_free(captured.memory.cast()) },
        }
    }

    fn run(&self, task: &Captured) {
        oracle::scope(true);
        oracle::moved(&task.values);
        // SAFETY: It was made by `capture`, and picked.
        unsafe { tls_task_run(task.memory) };
        oracle::scope(false);
    }

    /// Checks what must hold when all threads are through, and ends everything.
    fn finish<M: Machine>(&self, machine: &M) {
        self.expunge_each(machine);
        machine.play(Some(1));
        if self.script.count(Op::Release) == 0 {
            let released = tls_key_release(self.handle);
            oracle::expect(released == TLS_OK, || format!("the last release: {released}"));
        }
        self.expunge_each(machine);
        for thread in 1..=self.script.parts.len() as u64 {
            machine.play(Some(thread));
            oracle::leaving();
            modelled::end_thread();
        }
        machine.play(Some(self.script.parts.len() as u64 + 1));
        // SAFETY: Every thread has ended, and so has left it.
        let destroyed = unsafe { tls_map_destroy(self.map.0) };
        oracle::expect(destroyed == TLS_OK, || format!("the map: {destroyed}"));
        let captured = with(|things| std::mem::take(&mut things.captured));
        captured.iter().for_each(|captured| self.free(captured));
        let drained = self.drain(0);
        oracle::expect(drained == Ok(()), || format!("the last drain: {drained:?}"));
        modelled::end_thread();
        oracle::finish();
        let (left, in_use) = (stats(), machine.memory_in_use());
        let all = [left.keys, left.dead_keys, left.maps, left.entries, left.stale, left.contexts];
        let bad = [left.leaked, left.unscoped, left.unwatched];
        oracle::expect(all == [0; 6] && bad == [0; 3], || {
            format!("something is left: {all:?}, or was lost: {bad:?}")
        });
        oracle::expect(in_use == 0, || format!("{in_use} pieces of memory are left"));
    }

    /// Every thread expunges; before and after, its stale count is exact.
    fn expunge_each<M: Machine>(&self, machine: &M) {
        let is_dead = |key: usize| key != self.key || !tls_key_is_live(self.handle);
        for thread in 1..=self.script.parts.len() as u64 {
            machine.play(Some(thread));
            if self.map.0.is_null() {
                let (count, right) = (tls_stale_count(), oracle::stale(thread, is_dead));
                // A value that was set while others purged may have been purged.
                let purged = self.script.has(&[Op::Purge]) && !self.script.rules.any;
                let most = right + if purged { oracle::current(thread) } else { 0 };
                let part = &self.script.parts[thread as usize - 1];
                let woken = oracle::was_woken(thread) || !part.before.contains(&Op::Waker);
                oracle::expect((right..=most).contains(&count), || {
                    format!("thread {thread} counts {count} stale values; {right} to {most} are")
                });
                oracle::expect(woken || count == 0, || "stale values, and nobody was woken".into());
                let destroyed = tls_expunge();
                oracle::expect(destroyed == count, || {
                    format!("{destroyed} of {count} were expunged")
                });
            }
            let count = tls_stale_count();
            let none = count == 0 || !self.map.0.is_null();
            oracle::expect(none, || format!("{count} stale values are left"));
        }
    }
}

/// What a task does.
unsafe extern "C" fn work(_: *mut c_void) {
    let Some(fixture) = with(|things| things.play.clone()) else { return };
    oracle::got(fixture.key, tls_get_existing(fixture.handle));
    fixture.take(Op::Set);
    oracle::ending_scope();
}

fn stats() -> tls_stats_t {
    let mut all = tls_stats_t { size: size_of::<tls_stats_t>(), ..tls_stats_t::default() };
    // SAFETY: A variable of ours, with its size.
    let code = unsafe { tls_stats(&mut all) };
    oracle::expect(code == TLS_OK, || format!("tls_stats has failed with {code}"));
    all
}
