// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the callbacks of a case's keys do: they write to the shadow, and read on in
//! the program unless they are quiet.

use core::ffi::{c_int, c_void};
use std::sync::Mutex;

use threadlocalmap::capi::keys::tls_key_options_t;
use threadlocalmap::error::Reason;

use crate::api::{no_options, with_rules, Rules};

use super::inspect::inspect;
use super::op::Habits;
use super::schedule::{inside_callback, me, world};
use super::shadow::{KeyName, Life, State, Value};

/// The options of a key.
pub(crate) fn options(name: KeyName, habits: Habits) -> tls_key_options_t {
    let options = tls_key_options_t {
        destroy: Some(destroy),
        init: habits.init.then_some(init as _),
        user: name as *mut c_void,
        user_free: Some(user_free),
        ..no_options()
    };
    let (any, enumerable) = (habits.any, habits.enumerable);
    with_rules(options, Rules { any, enumerable, ..Rules::default() })
}

/// Reads on, with everything whole before and after.
fn read_on(quiet: bool) -> u8 {
    world().shadow.callbacks += 1;
    inspect(me());
    if quiet {
        return 0;
    }
    let answer = inside_callback(true);
    inspect(me());
    answer
}

unsafe extern "C" fn destroy(value: *mut c_void, reason: c_int, user: *mut c_void) {
    let name = user as KeyName;
    let quiet = {
        let mut world = world();
        let shadow = &mut world.shadow;
        shadow.strike_out(value as Value, name, State::Ended);
        shadow.destroyed += 1;
        shadow.expunged += u64::from(reason == Reason::KeyDead as c_int);
        let note = &shadow.values[value as Value / 16 - 1];
        let key = &shadow.keys[name];
        assert!(!key.freed, "a value of key {name} ends after user_free");
        let at_home = note.thread.is_none_or(|thread| thread == me());
        // Its last visitor ends a value whose thread has gone.
        assert!(key.habits.any || note.was_visited || at_home, "key {name}: on another thread");
        if reason == Reason::KeyDead as c_int {
            assert_ne!(key.life(), Life::Live, "key {name} is alive");
        }
        if reason == Reason::Purged as c_int {
            let now = key.takers > 0 && key.habits.any;
            assert!(now || key.purged, "nobody purges key {name}");
        }
        shadow.keys[name].callbacks += 1;
        shadow.keys[name].habits.quiet_destroy
    };
    read_on(quiet);
    world().shadow.keys[name].callbacks -= 1;
}

unsafe extern "C" fn init(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    let (name, me) = (user as KeyName, me());
    let habits = {
        let mut world = world();
        let shadow = &mut world.shadow;
        let inside = shadow.initialising.contains(&(me, name));
        assert!(!inside, "init of key {name} inside itself");
        shadow.initialising.push((me, name));
        let key = &mut shadow.keys[name];
        assert!(!key.freed, "init of key {name} after user_free");
        key.inits += 1;
        key.callbacks += 1;
        key.habits
    };
    let answer = read_on(habits.quiet_init);
    let mut world = world();
    let shadow = &mut world.shadow;
    let ours = shadow.initialising.iter().rposition(|running| *running == (me, name));
    shadow.initialising.remove(ours.expect("put there above"));
    let key = &mut shadow.keys[name];
    key.callbacks -= 1;
    let fails = habits.quiet_init && habits.init_fails && key.inits % 2 == 0;
    if fails || answer % 2 == 1 {
        return 1;
    }
    // SAFETY: The library hands over a place for the value.
    unsafe { *value = shadow.make(name, me) as *mut c_void };
    0
}

unsafe extern "C" fn user_free(user: *mut c_void) {
    let name = user as KeyName;
    let quiet = {
        let mut world = world();
        let shadow = &mut world.shadow;
        let alive = shadow.alive(name).len() as u64;
        assert!(alive <= shadow.leaks_not_found(), "user_free of key {name} before its last value");
        let key = &mut shadow.keys[name];
        assert!(!key.freed, "user_free of key {name} again");
        assert_ne!(key.life(), Life::Live, "user_free of key {name}, alive");
        assert_eq!(key.callbacks, 0, "user_free of key {name} while its callbacks run");
        key.freed = true;
        key.habits.quiet_user_free
    };
    read_on(quiet);
}

/// What a visit or a scrape is about. Lives on the stack of the call.
pub(crate) struct Visit {
    pub(crate) key: KeyName,
    pub(crate) seen: Mutex<Vec<Value>>,
}

impl Visit {
    pub(crate) fn of(key: KeyName) -> Self {
        Self { key, seen: Mutex::new(Vec::new()) }
    }

    pub(crate) fn argument(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// # Safety
    ///
    /// It is [`argument`](Self::argument), during the call that it was given to.
    unsafe fn from<'a>(argument: *mut c_void) -> &'a Self {
        // SAFETY: The caller's premise.
        unsafe { &*argument.cast::<Self>() }
    }

    /// The values that were shown; no panic can poison the lock for long.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }

    fn see(&self, value: Value) {
        let mut seen = self.seen.lock().expect("nobody panics with it");
        assert!(!seen.contains(&value), "{value:#x} is shown twice by one call");
        seen.push(value);
    }
}

pub(crate) unsafe extern "C" fn visit(value: *mut c_void, _: u64, argument: *mut c_void) -> c_int {
    // SAFETY: The library passes on what `for_each` was given.
    let (value, visit) = (value as Value, unsafe { Visit::from(argument) });
    visit.see(value);
    {
        let mut world = world();
        let note = world.shadow.note(value, visit.key);
        assert_eq!(note.state, State::Alive, "{value:#x} is visited");
        note.visitors += 1;
        note.was_visited = true;
    }
    read_on(false);
    let mut world = world();
    let note = world.shadow.note(value, visit.key);
    assert_eq!(note.state, State::Alive, "{value:#x}, while it was visited");
    note.visitors -= 1;
    0
}

/// A visitor that has a lock, and calls nothing.
pub(crate) unsafe extern "C" fn look(value: *mut c_void, _: u64, argument: *mut c_void) -> c_int {
    // SAFETY: The library passes on what `for_each_locked` was given.
    let (value, visit) = (value as Value, unsafe { Visit::from(argument) });
    visit.see(value);
    let mut world = world();
    assert_eq!(world.shadow.note(value, visit.key).state, State::Alive, "{value:#x} is looked at");
    0
}

pub(crate) unsafe extern "C" fn take(value: *mut c_void, _: u64, argument: *mut c_void) -> c_int {
    // SAFETY: The library passes on what `scrape` was given.
    let (value, visit) = (value as Value, unsafe { Visit::from(argument) });
    visit.see(value);
    world().shadow.strike_out(value, visit.key, State::HandedOver);
    read_on(false);
    0
}

/// A hook for a thread's end; the argument is its number.
pub(crate) unsafe extern "C" fn hook(argument: *mut c_void) {
    {
        let mut world = world();
        let hook = &mut world.shadow.hooks[argument as usize];
        assert!(!hook.has_run, "a hook runs twice");
        assert_eq!(hook.thread, me(), "a hook runs on another thread");
        hook.has_run = true;
    }
    read_on(false);
}

/// The waker of the thread with this number. It must be quick, so it does nothing;
/// but others may, meanwhile.
pub(crate) unsafe extern "C" fn wake(argument: *mut c_void) {
    let mut world = world();
    world.shadow.threads[argument as usize].wakes += 1;
    world.shadow.callbacks += 1;
    drop(world);
    inside_callback(false);
}
