// SPDX-License-Identifier: MIT OR Apache-2.0
//! Does what a turn says, and asserts what the library answers.

use core::ffi::c_void;
use core::ptr::null_mut;

use threadlocalmap::error::Error;

use super::callbacks;
use super::inspect::inspect;
use super::maps;
use super::op::{Habits, Misuse, Op};
use super::schedule::world;
use super::shadow::{Hook, Key, KeyName, Life, Shadow, State, Value};
use super::visits;
use crate::api;
use crate::internals::{self, check_current_map, stale_number};
use crate::runner::never_a_key;

/// Keys that a case makes, at most.
const MOST_KEYS: usize = 40;

/// Does it, with everything whole before and after.
pub(crate) fn perform(me: usize, op: Op) {
    check_current_map();
    world().shadow.ops += 1;
    act(me, op);
    inspect(me);
}

fn act(me: usize, op: Op) {
    match op {
        Op::Nothing | Op::Return(_) | Op::EndThread => {}
        Op::Create(habits) => create(me, habits),
        Op::Set(number) => set(me, number),
        Op::Get(number) => get(me, number, |key| Ok(api::get(key))),
        Op::GetExisting(number) => get(me, number, |key| Ok(api::get_existing(key))),
        Op::TryGet(number) => get(me, number, api::try_get),
        Op::Swap(number) => swap(me, number),
        Op::Take(number) => take(me, number),
        Op::Remove(number) => {
            on_key(me, number, |chosen| {
                let removed = call(me, || api::remove(chosen.handle));
                chosen.expect(me, removed, &[]);
            });
        }
        Op::RemoveAll => assert_eq!(call(me, api::remove_all), Ok(())),
        Op::Retain(number) => retain(me, number),
        Op::Release(number) => release(me, number),
        Op::Expunge => expunge(me, usize::MAX, api::expunge),
        Op::ExpungeSome(most) => {
            expunge(me, usize::from(most), || api::expunge_some(usize::from(most)));
        }
        Op::ExpungeAllThreads => expunge(me, usize::MAX, api::expunge_all_threads),
        Op::Purge(number) => on_key(me, number, |chosen| visits::purge(me, chosen)),
        Op::Scrape(number) => on_key(me, number, |chosen| visits::scrape(me, chosen)),
        Op::ForEach(number) => on_key(me, number, |chosen| visits::for_each(me, chosen)),
        Op::Look(number) => on_key(me, number, |chosen| visits::look(me, chosen)),
        Op::Drain(number) => on_key(me, number, |chosen| drain(me, chosen)),
        Op::Attach => {
            let attached = call(me, api::attach);
            expect_done(me, attached, &[]);
        }
        Op::Detach => maps::detach(me),
        Op::AtExit => at_exit(me),
        Op::OnStale(wanted) => on_stale(me, wanted),
        Op::CreateMap => maps::create(),
        Op::SwitchMap(number) => maps::switch(me, number),
        Op::DestroyMap(number) => maps::destroy(me, number),
        Op::Misuse(misuse, number) => misuse_handle(me, misuse, number),
        Op::SetMany(first, count) => {
            for nth in 0..count {
                set(me, first.wrapping_add(nth));
            }
        }
        Op::Leave => maps::leave(me),
        Op::ClearAway => clear_away(me),
    }
}

/// Makes a call of the library.
pub(crate) fn call<T>(me: usize, work: impl FnOnce() -> T) -> T {
    world().calls[me] += 1;
    let result = work();
    world().calls[me] -= 1;
    result
}

/// What must have worked, but for some errors and for those of a thread that
/// is inside its last callbacks.
pub(crate) fn expect_done(me: usize, result: Result<(), Error>, allowed: &[Error]) {
    let Err(error) = result else { return };
    let closing = error == Error::Exiting && world().is_in_callback(me);
    assert!(closing || allowed.contains(&error), "{error:?}");
}

// ---- Keys --------------------------------------------------------------------

/// The key that a number means, as it was before a call.
pub(crate) struct Chosen {
    pub(crate) name: KeyName,
    pub(crate) handle: u64,
    pub(crate) life: Life,
    pub(crate) habits: Habits,
    /// Callbacks of the case, ever; each may change everything.
    callbacks: usize,
    /// Operations, ever.
    ops: usize,
}

impl Chosen {
    fn resolve(number: u8) -> Option<Self> {
        let world = world();
        let shadow = &world.shadow;
        let name = usize::from(number).checked_rem(shadow.keys.len())?;
        let key: &Key = &shadow.keys[name];
        let (handle, life, habits) = (key.handle, key.life(), key.habits);
        let (callbacks, ops) = (shadow.callbacks, shadow.ops);
        Some(Self { name, handle, life, habits, callbacks, ops })
    }

    /// Whether nothing has happened since but the call itself.
    pub(crate) fn is_undisturbed(&self) -> bool {
        world().shadow.callbacks == self.callbacks
    }

    /// Whether nobody has done anything since, beside the call; callbacks may
    /// have come and gone.
    fn is_alone(&self, shadow: &Shadow) -> bool {
        shadow.ops == self.ops
    }

    /// Whether a call was answered as the key's life has it; errors beside that
    /// are allowed as listed. Returns what was answered.
    pub(crate) fn expect<T>(
        &self,
        me: usize,
        result: Result<T, Error>,
        allowed: &[Error],
    ) -> Option<T> {
        let life_now = world().shadow.keys[self.name].life();
        match result {
            Ok(answer) => {
                assert_ne!(self.life, Life::Dead, "a dead key was used");
                return Some(answer);
            }
            Err(Error::DeadKey) => {
                assert!(self.life != Life::Live || life_now != Life::Live, "a live key is dead");
            }
            Err(error) => {
                assert_ne!(self.life, Life::Dead, "of a dead key: {error:?}");
                expect_done(me, Err(error), allowed);
            }
        }
        None
    }
}

fn on_key(_: usize, number: u8, work: impl FnOnce(&Chosen)) {
    if let Some(chosen) = Chosen::resolve(number) {
        work(&chosen);
    }
}

fn create(me: usize, habits: Habits) {
    let name = world().shadow.keys.len();
    if name == MOST_KEYS {
        return;
    }
    let handle = call(me, || api::create(&callbacks::options(name, habits))).expect("memory");
    let mut world = world();
    let known = world.shadow.keys.iter().any(|key| key.handle == handle);
    assert!(!known, "a handle was given out twice");
    world.shadow.keys.push(Key {
        handle,
        references: 1,
        habits,
        freed: false,
        inits: 0,
        visits: 0,
        takers: 0,
        purged: false,
        callbacks: 0,
    });
}

fn retain(me: usize, number: u8) {
    on_key(me, number, |chosen| {
        let retained = call(me, || api::retain(chosen.handle));
        if chosen.expect(me, retained, &[]).is_some() {
            world().shadow.keys[chosen.name].references += 1;
        }
    });
}

fn release(me: usize, number: u8) {
    on_key(me, number, |chosen| {
        if chosen.life == Life::Perhaps {
            // It would be the visitor's reference that is given back.
            return;
        }
        let last = {
            let mut world = world();
            let key = &mut world.shadow.keys[chosen.name];
            key.references -= u64::from(chosen.life == Life::Live);
            chosen.life == Life::Live && key.life() == Life::Dead
        };
        let own = api::get_existing(chosen.handle) as Value;
        let unwoken = unwoken_threads(me);
        let released = call(me, || api::release(chosen.handle));
        assert_eq!(released, if chosen.life == Life::Live { Ok(()) } else { Err(Error::DeadKey) });
        if last {
            assert_retired(me, chosen, own, &unwoken);
        }
    });
}

/// Threads that have a waker and no stale values, with how often they were woken.
fn unwoken_threads(me: usize) -> Vec<(usize, usize)> {
    let world = world();
    let threads = world.shadow.threads.iter().enumerate();
    let waits = |at: usize| {
        at != me && world.shadow.threads[at].has_waker && stale_at(&world.shadow, at) == Some(0)
    };
    threads.filter(|(at, _)| waits(*at)).map(|(at, thread)| (at, thread.wakes)).collect()
}

/// The stale count of a thread's own map.
fn stale_at(shadow: &Shadow, thread: usize) -> Option<usize> {
    shadow.threads[thread].own.map(stale_number)
}

/// What holds when the release of a last reference has returned.
fn assert_retired(me: usize, chosen: &Chosen, own: Value, unwoken: &[(usize, usize)]) {
    let mut world = world();
    if own != 0 {
        let state = world.shadow.note(own, chosen.name).state;
        assert_ne!(state, State::Alive, "the releaser's own value {own:#x}");
    }
    if !world.is_quiet_but_for(me) || world.is_in_callback(me) {
        return;
    }
    let alive = world.shadow.alive(chosen.name);
    if chosen.habits.any && world.shadow.leaks_not_found() == 0 {
        assert_eq!(alive, [], "values of a dead key that any thread may end");
    }
    for &(thread, wakes) in unwoken {
        if chosen.is_alone(&world.shadow)
            && stale_at(&world.shadow, thread).is_some_and(|stale| stale > 0)
        {
            assert!(world.shadow.threads[thread].wakes > wakes, "thread {thread} was not woken");
        }
    }
}

fn drain(me: usize, chosen: &Chosen) {
    let was_attached = internals::thread().is_some();
    let left = call(me, || api::drain(chosen.handle));
    let mut world = world();
    let left = match left {
        Ok(left) => left,
        Err(error) => {
            assert_eq!(error, Error::Reentrant);
            assert!(world.is_in_callback(me), "not in a callback");
            return;
        }
    };
    assert!(!(world.is_in_callback(me) && was_attached), "waits inside a callback");
    if world.shadow.leaks_not_found() > 0 {
        return;
    }
    let alive = world.shadow.alive(chosen.name).len();
    let running = world.shadow.keys[chosen.name].callbacks;
    assert!(left > 0 || (alive, running) == (0, 0), "drained, but {alive} alive, {running} calls");
    if world.is_quiet() {
        world.shadow.compare();
        let alive = world.shadow.alive(chosen.name).len();
        assert_eq!(left as usize, alive, "threads that still have a value");
    }
}

// ---- Values ------------------------------------------------------------------

fn pointer(value: Value) -> *mut c_void {
    value as *mut c_void
}

/// A value that was shown under a key: one of that key's, and alive unless a
/// callback has run since.
fn assert_shown(chosen: &Chosen, value: *mut c_void) {
    let undisturbed = chosen.is_undisturbed();
    let mut world = world();
    let state = world.shadow.note(value as Value, chosen.name).state;
    assert!(!undisturbed || state == State::Alive, "shown: {value:?}, {state:?}");
}

fn get(me: usize, number: u8, look: impl FnOnce(u64) -> Result<*mut c_void, Error>) {
    on_key(me, number, |chosen| {
        let found = call(me, || look(chosen.handle));
        match found {
            Ok(value) if value.is_null() => {}
            Ok(value) => assert_shown(chosen, value),
            Err(Error::Absent) => assert!(!chosen.habits.init, "absent, with an init"),
            Err(Error::Init) => assert!(chosen.habits.init, "without an init"),
            Err(Error::Reentrant) => {
                let running = world().shadow.initialising.contains(&(me, chosen.name));
                assert!(running, "init is not running");
            }
            Err(error) => {
                chosen.expect(me, Err::<(), _>(error), &[]);
            }
        }
    });
}

/// Makes a value and has it stored.
fn store(
    me: usize,
    chosen: &Chosen,
    busy: &[Error],
    keep: impl FnOnce(*mut c_void) -> Result<*mut c_void, Error>,
) {
    let value = world().shadow.make(chosen.name, me);
    let outcome = call(me, || keep(pointer(value)));
    match chosen.expect(me, outcome, busy) {
        Some(old) if !old.is_null() => {
            world().shadow.strike_out(old as Value, chosen.name, State::HandedOver);
        }
        Some(_) => {}
        None => world().shadow.strike_out(value, chosen.name, State::Refused),
    }
}

fn set(me: usize, number: u8) {
    on_key(me, number, |chosen| {
        store(me, chosen, &[], |value| api::set(chosen.handle, value).map(|()| null_mut()));
    });
}

/// Handing a value over is refused while it is visited, and then only.
fn swap(me: usize, number: u8) {
    on_key(me, number, |chosen| {
        let busy = busy_if_visited(chosen);
        store(me, chosen, &busy, |value| {
            let outcome = api::swap(chosen.handle, value);
            assert!(busy.is_empty() || outcome == Err(Error::Busy), "handed over a visited value");
            outcome
        });
    });
}

fn take(me: usize, number: u8) {
    on_key(me, number, |chosen| {
        let busy = busy_if_visited(chosen);
        let taken = call(me, || api::take(chosen.handle));
        assert!(busy.is_empty() || taken == Err(Error::Busy), "took a visited value");
        let allowed = if busy.is_empty() { vec![Error::Absent] } else { busy };
        if let Some(old) = chosen.expect(me, taken, &allowed) {
            world().shadow.strike_out(old as Value, chosen.name, State::HandedOver);
        }
    });
}

/// The error that must come if the thread's value is being visited.
fn busy_if_visited(chosen: &Chosen) -> Vec<Error> {
    if chosen.life == Life::Dead {
        return Vec::new();
    }
    let value = api::get_existing(chosen.handle) as Value;
    let visited = value != 0 && world().shadow.note(value, chosen.name).visitors > 0;
    if visited {
        vec![Error::Busy]
    } else {
        Vec::new()
    }
}

fn expunge(me: usize, budget: usize, work: impl FnOnce() -> usize) {
    let most = budget.min(api::stale_count());
    let ended = call(me, work);
    assert!(ended <= most, "{ended} expunged, where there were {most}");
}

// ---- The rest ----------------------------------------------------------------

fn at_exit(me: usize) {
    let number = {
        let mut world = world();
        let must_run = !world.is_in_callback(me);
        world.shadow.hooks.push(Hook::new(me, must_run));
        world.shadow.hooks.len() - 1
    };
    let registered = call(me, || api::at_thread_exit(callbacks::hook, number as *mut c_void));
    if registered.is_err() {
        world().shadow.hooks[number].must_run = false;
    }
    expect_done(me, registered, &[]);
}

fn on_stale(me: usize, wanted: bool) {
    let function = wanted.then_some(callbacks::wake as _);
    let done = call(me, || api::on_stale(function, me as *mut c_void));
    if done.is_ok() {
        world().shadow.threads[me].has_waker = wanted;
    }
    expect_done(me, done, &[]);
}

fn misuse_handle(me: usize, misuse: Misuse, number: u8) {
    let some = Chosen::resolve(number).map(|chosen| chosen.handle);
    let bad = never_a_key(u16::from(number), some);
    let null = |value: *mut c_void| {
        assert!(value.is_null());
        Err(Error::BadKey)
    };
    let done = |_: *mut c_void| ();
    let argument = null_mut();
    let outcome = call(me, || match misuse {
        Misuse::Get => null(api::get(bad)),
        Misuse::GetExisting => null(api::get_existing(bad)),
        Misuse::TryGet => api::try_get(bad).map(done),
        Misuse::Set => api::set(bad, pointer(8)),
        Misuse::Swap => api::swap(bad, pointer(8)).map(done),
        Misuse::Take => api::take(bad).map(done),
        Misuse::Remove => api::remove(bad),
        Misuse::Retain => api::retain(bad),
        Misuse::Release => api::release(bad),
        Misuse::Purge => api::purge(bad).map(|_| ()),
        Misuse::Drain => api::drain(bad).map(|_| ()),
        Misuse::ForEach => api::for_each(bad, callbacks::visit, argument),
        Misuse::Scrape => api::scrape(bad, callbacks::take, argument),
    });
    let closing = outcome == Err(Error::Exiting) && world().is_in_callback(me);
    assert!(closing || outcome == Err(Error::BadKey), "{misuse:?} of {bad:#x}: {outcome:?}");
}

/// The end of a case, when all threads have left: maps and keys.
fn clear_away(me: usize) {
    while !world().shadow.maps.is_empty() {
        maps::destroy(me, 0);
    }
    let some_live = || world().shadow.keys.iter().position(|key| key.references > 0);
    while let Some(name) = some_live() {
        release(me, name as u8);
    }
    inspect(me);
    let world = world();
    let alive = world.shadow.values.iter().filter(|note| note.state == State::Alive);
    assert_eq!(alive.count(), 0, "values alive at the end");
    assert!(world.shadow.keys.iter().all(|key| key.freed), "a user_free was not called");
}
