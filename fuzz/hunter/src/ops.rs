// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each operation does: one call of the library, and its checks.

use core::ffi::{c_int, c_void};
use core::ptr::{from_ref, null_mut};
use core::sync::atomic::Ordering::SeqCst;

use crate::callbacks::{self, argument, hand_over};
use crate::ffi::{
    self, ABSENT, BUSY, DEAD_KEY, EXITING, INIT, INVALID, NO_MEMORY, OK, REENTRANT, STOPPED,
    TIMEOUT,
};
use crate::frame::{Frame, Kind};
use crate::program::{Code, Group, Op, BODIES, KEYS};
use crate::report::fail;
use crate::scopes;
use crate::shadow::{shadow, state, Record, ShadowKey, MAPS, NO_MAP};
use crate::slot::Slot;
use crate::world::{fail_allocation, pause, world, Mode, Worker, CONDUCTOR};

/// A handle, and its key in the shadow unless that was freed.
struct Named {
    handle: ffi::Key,
    key: &'static ShadowKey,
}

fn named(a: u8) -> Option<Named> {
    let world = world();
    let slot = usize::from(a) % world.program.keys.len();
    let handle = world.handles[slot].load(SeqCst);
    // SAFETY: Null, or a key of the shadow, which is never freed.
    let key = unsafe { world.keys[slot].load(SeqCst).as_ref() }?;
    (key.handle.load(SeqCst) == handle && handle != 0).then_some(Named { handle, key })
}

/// Makes the key of a slot, if it has none or a dead one.
pub(crate) fn create_key(me: &Worker, slot: usize) {
    let world = world();
    let spec = world.program.keys[slot];
    // SAFETY: Null, or a key of the shadow, which is never freed.
    let old = unsafe { world.keys[slot].load(SeqCst).as_ref() };
    if old.is_some_and(|old| {
        old.handle.load(SeqCst) == world.handles[slot].load(SeqCst)
            && old.life.load(SeqCst) != 0
            && !old.is_dead()
    }) {
        return;
    }
    let Some(key) = shadow().make_key(spec) else { return };
    let flag = |on, flag| if on { flag } else { 0 };
    let options = ffi::Options {
        size: size_of::<ffi::Options>(),
        name: c"key".as_ptr(),
        destroy: Some(callbacks::destroy),
        init: spec.init.then_some(callbacks::init),
        copy: spec.inherit.then_some(callbacks::copy),
        user: from_ref(key).cast_mut().cast(),
        user_free: Some(callbacks::user_free),
        reclaim: u32::from(spec.any),
        flags: flag(spec.explicit, ffi::EXPLICIT)
            | flag(spec.enumerable, ffi::ENUMERABLE)
            | flag(spec.worker, ffi::WORKER)
            | flag(spec.inherit, ffi::INHERIT),
    };
    let mut handle = 0;
    // SAFETY: Both pointers are good.
    let code = me
        .call_in(Code::KeyCreate, None, |_| unsafe { ffi::tls_key_create(&mut handle, &options) });
    expect(Code::KeyCreate, code, &[OK, NO_MEMORY], None);
    if code != OK {
        key.references.store(0, SeqCst);
        key.life.store(0, SeqCst);
        return;
    }
    key.handle.store(handle, SeqCst);
    world.keys[slot].store(from_ref(key).cast_mut(), SeqCst);
    world.handles[slot].store(handle, SeqCst);
}

/// Checks that the function may return this code, here.
pub(crate) fn expect(
    op: Code,
    code: c_int,
    allowed: &[c_int],
    key: Option<(ffi::Key, &ShadowKey)>,
) {
    let world = world();
    if world.without.has(Group::Codes) {
        return;
    }
    if !allowed.contains(&code) {
        fail(format_args!("{op:?} returns {code}, which its text does not name, or can't be here"));
    }
    if code == NO_MEMORY && !world.starved.load(SeqCst) {
        fail(format_args!("{op:?} returns TLS_ERR_NO_MEMORY, and no allocation has failed"));
    }
    let me = crate::world::me();
    // The end of a scope gives up what is set again and again, too.
    let ends = [Code::Detach, Code::MapDestroy, Code::ScopeEnd, Code::TaskRun];
    let past = me.ending.load(SeqCst) || ends.iter().any(|code| me.is_in(*code));
    if code == EXITING && !past {
        fail(format_args!("{op:?} returns TLS_ERR_EXITING on a thread that does not end"));
    }
    if let Some((handle, key)) = key.filter(|_| code == DEAD_KEY) {
        let same = key.handle.load(SeqCst) == handle && key.life.load(SeqCst) != 0;
        if same && !key.is_dead() && key.counting.load(SeqCst) == 0 {
            fail(format_args!("{op:?} returns TLS_ERR_DEAD_KEY for a live key"));
        }
    }
}

/// Operations that take a context, a map or a key's place in hand.
const HOLDING: [Code; 9] = [
    Code::Capture,
    Code::FreeContext,
    Code::TaskCreate,
    Code::TaskRun,
    Code::TaskCancel,
    Code::MapCreate,
    Code::MapSwitch,
    Code::MapDestroy,
    Code::KeyCreate,
];

pub(crate) fn perform(me: &Worker, op: Op) {
    if !me.has_room() {
        return;
    }
    let holding = i32::from(HOLDING.contains(&op.code));
    me.holding.fetch_add(holding, SeqCst);
    perform_alone(me, op);
    me.holding.fetch_sub(holding, SeqCst);
}

fn perform_alone(me: &Worker, op: Op) {
    let body = usize::from(op.b) % BODIES;
    match op.code {
        Code::Pause => {}
        Code::Set | Code::SetNull | Code::Swap => set(me, op),
        Code::Get | Code::GetExisting | Code::TryGet => get(me, op),
        Code::Take => take(me, op),
        Code::Remove => remove(me, op),
        Code::RemoveAll => {
            shadow().touch_all(me.map());
            // SAFETY: Any thread may.
            simple(me, op, &[OK, NO_MEMORY], || unsafe { ffi::tls_remove_all() });
        }
        Code::TakeAll => {
            shadow().touch_all(me.map());
            let arg = argument(body);
            // SAFETY: The function takes a number of a body.
            simple(me, op, &[OK, BUSY], || unsafe { ffi::tls_take_all(callbacks::receive, arg) });
        }
        Code::Expunge | Code::ExpungeSome | Code::ExpungeAll => {
            // SAFETY: Any thread may.
            me.call_in(op.code, None, |_| unsafe {
                match op.code {
                    Code::Expunge => ffi::tls_expunge(),
                    Code::ExpungeAll => ffi::tls_expunge_all_threads(),
                    _ => ffi::tls_expunge_some(usize::from(op.b % 8)),
                }
            });
        }
        Code::Attach => {
            // SAFETY: Any thread may.
            simple(me, op, &[OK, NO_MEMORY, EXITING], || unsafe { ffi::tls_thread_attach() });
        }
        Code::Detach => detach(me),
        Code::AtExit => at_exit(me, op, body),
        Code::OnStale => on_stale(me, op, body),
        Code::Release => release(me, op.a),
        Code::Retain => retain(me, op.a),
        Code::Purge => purge(me, op),
        Code::ForEach => for_each(me, op, body),
        Code::Scrape => scrape(me, op, body),
        Code::Drain => drain(me, op),
        Code::ScopeBegin => scopes::scope_begin(me, op),
        Code::ScopeEnd => scopes::scope_end(me, op),
        Code::Capture => scopes::capture(me, op),
        Code::FreeContext => {
            let context = slot(&world().contexts, op.b).take();
            scopes::end_context(me, op.code, context);
        }
        Code::TaskCreate => scopes::task_create(me, op),
        Code::TaskRun | Code::TaskCancel => {
            let task = slot(&world().tasks, op.a).take();
            scopes::end_task(me, op.code, task);
        }
        Code::MapCreate => scopes::map_create(me, op),
        Code::MapSwitch => scopes::map_switch(me, op),
        Code::MapDestroy => {
            let slot = slot(&world().maps, op.a);
            let map = slot.take();
            if !map.is_null() && scopes::map_destroy(me, map) != OK {
                slot.put(map);
            }
        }
        Code::Stats => {
            let mut stats = ffi::Stats { size: size_of::<ffi::Stats>(), ..Default::default() };
            // SAFETY: The size is said.
            simple(me, op, &[OK], || unsafe { ffi::tls_stats(&mut stats) });
        }
        Code::Dump => {
            let arg = argument(body);
            // SAFETY: The function takes a number of a body.
            simple(me, op, &[OK, NO_MEMORY], || unsafe { ffi::tls_dump(callbacks::write, arg) });
        }
        Code::ForEachLocal => {
            let arg = argument(body);
            // SAFETY: The function takes a number of a body.
            simple(me, op, &[OK, NO_MEMORY], || unsafe {
                ffi::tls_for_each_local(callbacks::visit_local, arg)
            });
        }
        Code::Check => crate::finish::check_standing(me, op),
        Code::FailAllocation => {
            if cfg!(not(feature = "asan")) {
                fail_allocation(1 + u32::from(op.b % 6));
            }
        }
        Code::ExitThread => exit_thread(me),
        Code::CancelThread => cancel(op),
        Code::Fork => crate::fork::fork(me),
        Code::KeyCreate => create_key(me, usize::from(op.a) % world().program.keys.len()),
        Code::SetMany | Code::ReleaseMany => {
            let code = if op.code == Code::SetMany { Code::Set } else { Code::Release };
            for next in 0..op.b % KEYS as u8 {
                perform(me, Op { code, a: (op.a % KEYS as u8) + next, b: 0 });
                pause(me);
            }
        }
        Code::CleanupHandler => me.handler_body.store(body, SeqCst),
        Code::KeyDestructor => {
            let which = usize::from(op.a) % 2;
            me.passes[which].store(i32::from(op.a >> 1 & 3), SeqCst);
            let value = argument(body + BODIES);
            // SAFETY: The key was made when the run began.
            unsafe { libc::pthread_setspecific(world().os_keys[which].load(SeqCst), value) };
        }
        Code::ThreadDestructor => {
            let object = (&raw const ffi::__dso_handle).cast_mut().cast();
            // SAFETY: The function takes a number of a body.
            unsafe { ffi::__cxa_thread_atexit_impl(ending_other, argument(body), object) };
        }
    }
}

/// A thread-local object's destructor: the thread is ending.
extern "C" fn ending_other(body: *mut c_void) {
    crate::world::me().begin_ending(false);
    callbacks::scribble();
    callbacks::other(body);
}

pub(crate) fn simple(
    me: &Worker,
    op: Op,
    allowed: &[c_int],
    call: impl FnOnce() -> c_int,
) -> c_int {
    let code = me.call_in(op.code, None, |_| call());
    expect(op.code, code, allowed, None);
    code
}

/// `TLS_HOOK_BEFORE_VALUES` is 0, and one more is `TLS_HOOK_AFTER_VALUES`.
const ON_STALE: u32 = 2;

/// Every third hook and waker belongs to a key.
fn owner(op: Op) -> ffi::Key {
    match named(op.a) {
        Some(owner) if op.b % 3 == 0 => owner.handle,
        _ => 0,
    }
}

fn register(
    me: &Worker,
    op: Op,
    (when, owner): (u32, ffi::Key),
    function: ffi::Callback,
    body: usize,
) -> c_int {
    let size = size_of::<ffi::HookOptions>();
    let (function, argument) = (Some(function), argument(body));
    let options = ffi::HookOptions { size, when, flags: 0, function, argument, owner };
    let allowed: &[c_int] = match owner {
        0 => &[OK, NO_MEMORY, EXITING],
        _ => &[OK, NO_MEMORY, EXITING, DEAD_KEY],
    };
    // SAFETY: The size is said; the function takes a number of a body.
    simple(me, op, allowed, || unsafe { ffi::tls_thread_hook(&options) })
}

fn at_exit(me: &Worker, op: Op, body: usize) {
    // Asked once: another thread may make the key meanwhile.
    let owner = owner(op);
    // Those that are registered in the last round, and of dead keys, are not called.
    let late = me.ending.load(SeqCst) || me.is_in(Code::Detach) || owner != 0;
    let function = if late { callbacks::other } else { callbacks::hook };
    let count = i32::from(!late);
    shadow().hooks.fetch_add(count, SeqCst);
    if register(me, op, (u32::from(op.b & 1), owner), function, body) != OK {
        shadow().hooks.fetch_sub(count, SeqCst);
    }
}

fn on_stale(me: &Worker, op: Op, body: usize) {
    if op.b % 2 == 0 {
        register(me, op, (ON_STALE, owner(op)), callbacks::wake, body);
        return;
    }
    let arg = argument(body);
    // SAFETY: The function takes a number of a body.
    simple(me, op, &[OK, NO_MEMORY, EXITING], || unsafe {
        ffi::tls_thread_on_stale(Some(callbacks::wake), arg)
    });
}

pub(crate) fn slot(slots: &'static [Slot; 3], number: u8) -> &'static Slot {
    &slots[usize::from(number) % 3]
}

fn set(me: &Worker, op: Op) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    let map = me.map();
    let record =
        if op.code == Code::SetNull { None } else { shadow().make(key, map, op.code as u8) };
    if record.is_none() && !world().program.nulls {
        return;
    }
    let value = record.map_or(null_mut(), |record| from_ref(record).cast_mut().cast());
    let version = shadow().touch(map, key);
    let mut old = null_mut();
    // SAFETY: The value is the library's from now on.
    let code = me.call_in(op.code, Some(key), |_| unsafe {
        if op.code == Code::Swap {
            ffi::tls_swap(handle, value, &mut old)
        } else {
            ffi::tls_set(handle, value)
        }
    });
    let allowed: &[c_int] = if op.code == Code::Swap {
        &[OK, DEAD_KEY, NO_MEMORY, EXITING, BUSY]
    } else {
        &[OK, DEAD_KEY, NO_MEMORY, EXITING]
    };
    if let Some(record) = record {
        let next = if code == OK { state::HELD } else { state::REFUSED };
        let changed = record.state.compare_exchange(state::OFFERED, next, SeqCst, SeqCst);
        if code != OK && changed.is_err() {
            let number = record.number();
            fail(format_args!("value {number}: its call fails ({code}), and has ended it"));
        }
        me.trace(format_args!("value {} was set: {code}", record.number()));
        if code == OK {
            settle(me, map, key, version, record);
        }
    }
    if code == OK && !old.is_null() {
        hand_over(me, old, Some(map), "tls_swap");
    }
    expect(op.code, code, allowed, Some((handle, key)));
}

fn get(me: &Worker, op: Op) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    let map = me.map();
    // In this order: who begins in between is seen by one of the two.
    let disturbed = key.disturbed.load(SeqCst);
    let was_quiet = key.disturbing.load(SeqCst) == 0;
    let mut value = null_mut();
    let mut made = None;
    // SAFETY: The pointer is good.
    let code = me.call_in(op.code, Some(key), |frame: &Frame| unsafe {
        let code = match op.code {
            Code::TryGet => ffi::tls_try_get(handle, &mut value),
            Code::Get => {
                value = ffi::tls_get(handle);
                OK
            }
            _ => {
                value = ffi::tls_get_existing(handle);
                OK
            }
        };
        made = frame.record().map(|record| (record, frame.met.load(SeqCst) as u32));
        code
    });
    if op.code == Code::TryGet {
        let allowed = &[OK, ABSENT, INIT, REENTRANT, DEAD_KEY, NO_MEMORY, EXITING];
        expect(op.code, code, allowed, Some((handle, key)));
    }
    if code != OK || value.is_null() {
        return;
    }
    let Some(record) = shadow().record_of(value) else {
        fail(format_args!("{:?} returns {value:p}, which was never a value", op.code));
    };
    let number = record.number();
    if usize::from(record.key.load(SeqCst)) != key.number() {
        fail(format_args!("{:?} returns value {number}, of another key", op.code));
    }
    let owner = record.map.load(SeqCst);
    if owner != map && owner != NO_MAP {
        fail(format_args!("{:?} returns value {number}, of another map ({owner})", op.code));
    }
    // In this order: nobody who begins after the second look has ended it.
    let has_ended = !record.is_alive();
    let quiet = was_quiet && key.disturbed.load(SeqCst) == disturbed;
    let others_end = key.spec.get().any || key.spec.get().enumerable;
    let after_end = has_ended && (quiet || !others_end);
    if after_end && !world().without.has(Group::Dangling) {
        fail(format_args!("{:?} returns value {number} after its end", op.code));
    }
    if let Some((init, version)) = made {
        if init.number() == number {
            settle(me, map, key, version, record);
        }
    }
}

/// The thread has stored a value. It is not followed while a call goes over all
/// of the thread's values: whether that call still removes it, or another one
/// that has taken its place, follows from the order of their first sets.
fn settle(me: &Worker, map: u16, key: &ShadowKey, version: u32, record: &Record) {
    let over_all = [Code::RemoveAll, Code::TakeAll, Code::Detach, Code::MapDestroy];
    if !me.ending.load(SeqCst) && !over_all.iter().any(|code| me.is_in(*code)) {
        shadow().settle(map, key, version, record);
    }
}

fn take(me: &Worker, op: Op) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    let map = me.map();
    shadow().touch(map, key);
    let mut old = null_mut();
    // Every fourth one waits for visitors.
    let waits = op.b % 4 == 3;
    let timeout = if world().mode == Mode::Turns { 0 } else { c_int::from(op.b % 3) };
    // SAFETY: The pointer is good.
    let code = me.call_in(op.code, Some(key), |_| unsafe {
        match waits {
            true => ffi::tls_take_wait(handle, &mut old, timeout),
            false => ffi::tls_take(handle, &mut old),
        }
    });
    if code == OK && !old.is_null() {
        hand_over(me, old, Some(map), "tls_take");
    }
    // Hiding an outer value takes memory, as the text of tls_remove says.
    let allowed: &[c_int] = match waits {
        true => &[OK, ABSENT, TIMEOUT, REENTRANT, DEAD_KEY, NO_MEMORY],
        false => &[OK, ABSENT, BUSY, DEAD_KEY, NO_MEMORY],
    };
    expect(op.code, code, allowed, Some((handle, key)));
}

fn remove(me: &Worker, op: Op) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    shadow().touch(me.map(), key);
    // SAFETY: Any thread may.
    let code = me.call_in(op.code, Some(key), |_| unsafe { ffi::tls_remove(handle) });
    expect(op.code, code, &[OK, DEAD_KEY, NO_MEMORY], Some((handle, key)));
}

fn detach(me: &Worker) {
    let shadow = shadow();
    let map = me.map();
    // Inside a callback it only says so.
    let inside = me.is_inside();
    if !inside {
        me.detached.store(true, SeqCst);
        shadow.maps[me.number].left.store(true, SeqCst);
        shadow.touch_all(me.number as u16);
        shadow.touch_all(map);
    }
    // SAFETY: Any thread may.
    let code = me.call_in(Code::Detach, None, |_| unsafe { ffi::tls_thread_detach() });
    expect(Code::Detach, code, &[OK, REENTRANT], None);
    if code == OK {
        me.detached.store(true, SeqCst);
    }
}

fn release(me: &Worker, a: u8) {
    let Some(named) = named(a) else { return };
    let held = |references: i32| (references > 0).then(|| references - 1);
    if named.key.references.fetch_update(SeqCst, SeqCst, held).is_ok() {
        release_held(me, named.handle, named.key);
    }
}

/// Gives back a reference that the shadow has just given up.
pub(crate) fn release_held(me: &Worker, handle: ffi::Key, key: &'static ShadowKey) {
    let call = || {
        // SAFETY: Any thread may.
        me.call_in(Code::Release, Some(key), |_| unsafe { ffi::tls_key_release(handle) })
    };
    let code = if key.spec.get().any { key.disturb(call) } else { call() };
    if code != OK {
        fail(format_args!("tls_key_release of a reference that is held returns {code}"));
    }
}

fn retain(me: &Worker, a: u8) {
    let Some(Named { handle, key }) = named(a) else { return };
    key.counting.fetch_add(1, SeqCst);
    // SAFETY: Any thread may.
    let code = me.call_in(Code::Retain, Some(key), |_| unsafe { ffi::tls_key_retain(handle) });
    if code == OK {
        key.references.fetch_add(1, SeqCst);
    }
    expect(Code::Retain, code, &[OK, DEAD_KEY], None);
    key.counting.fetch_sub(1, SeqCst);
}

/// What the three functions that go over all threads' values may return.
const OVER_ALL: &[c_int] = &[OK, STOPPED, INVALID, BUSY, DEAD_KEY, NO_MEMORY, EXITING];

fn purge(me: &Worker, op: Op) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    // As it is now: the place may be another key's when the call returns.
    let spec = key.spec.get();
    key.purges.fetch_add(1, SeqCst);
    let code = key.disturb(|| {
        // SAFETY: Any thread may; nobody wants the number.
        let purge = |_: &Frame| unsafe { ffi::tls_key_purge(handle, null_mut()) };
        let code = me.call_in(op.code, Some(key), purge);
        // No map has a value for certain: it is stale, until its owner ends it.
        (0..MAPS as u16).for_each(|map| _ = shadow().touch(map, key));
        code
    });
    expect(op.code, code, OVER_ALL, Some((handle, key)));
    check_invalid(op.code, code, spec.any || spec.enumerable);
}

fn check_invalid(op: Code, code: c_int, fits: bool) {
    if code == INVALID && fits {
        fail(format_args!("{op:?} returns TLS_ERR_INVALID for a key of the right kind"));
    }
    if code == OK && !fits {
        fail(format_args!("{op:?} works on a key of the wrong kind"));
    }
}

fn for_each(me: &Worker, op: Op, body: usize) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    // As it is now: the place may be another key's when the call returns.
    let spec = key.spec.get();
    let shadow = shadow();
    // A purge that is going on, and those that will have begun.
    let (disturbing, disturbed) = (key.disturbing.load(SeqCst), key.disturbed.load(SeqCst));
    // What each map has for certain, before.
    let mut before = [(null_mut::<Record>(), 0); MAPS];
    for (map, before) in before.iter_mut().enumerate() {
        let settled = shadow.settled(map, key);
        let version = settled.version.load(SeqCst);
        *before = (settled.record.load(SeqCst), version);
    }
    let mut met = 0;
    // SAFETY: The function takes a number of a body.
    let code = me.call_in(op.code, Some(key), |frame| unsafe {
        let code = ffi::tls_for_each(handle, callbacks::visit, argument(body));
        met = frame.met.load(SeqCst);
        code
    });
    expect(op.code, code, OVER_ALL, Some((handle, key)));
    check_invalid(op.code, code, spec.enumerable);
    let purged = disturbing > 0 || key.disturbed.load(SeqCst) != disturbed;
    if code != OK || purged || world().forked.load(SeqCst) {
        return;
    }
    for (map, (record, version)) in before.into_iter().enumerate() {
        // SAFETY: Null, or a record of the shadow, which is never freed.
        let Some(record) = (unsafe { record.as_ref() }) else { continue };
        let settled = shadow.settled(map, key);
        let same = core::ptr::eq(settled.record.load(SeqCst), record)
            && record.is_alive()
            && usize::from(record.key.load(SeqCst)) == key.number()
            && record.life.load(SeqCst) == key.life.load(SeqCst)
            && usize::from(record.map.load(SeqCst)) == map
            && !key.is_dead()
            && settled.version.load(SeqCst) == version;
        if same && met >> map & 1 == 0 {
            let number = record.number();
            fail(format_args!(
                "tls_for_each misses map {map}, which has value {number} throughout"
            ));
        }
    }
}

fn scrape(me: &Worker, op: Op, body: usize) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    // As it is now: the place may be another key's when the call returns.
    let spec = key.spec.get();
    let code = key.disturb(|| {
        // SAFETY: The function takes a number of a body.
        me.call_in(op.code, Some(key), |_| unsafe {
            ffi::tls_scrape(handle, callbacks::take, argument(body))
        })
    });
    expect(op.code, code, OVER_ALL, Some((handle, key)));
    check_invalid(op.code, code, spec.enumerable);
}

fn drain(me: &Worker, op: Op) {
    let Some(Named { handle, key }) = named(op.a) else { return };
    let timeout = if world().mode == Mode::Turns { 0 } else { c_int::from(op.b % 3) };
    let mut left = 0;
    // SAFETY: The pointer is good.
    let code = me
        .call_in(op.code, Some(key), |_| unsafe { ffi::tls_key_drain(handle, timeout, &mut left) });
    expect(op.code, code, &[OK, TIMEOUT, REENTRANT], None);
}

fn exit_thread(me: &Worker) {
    // A waker must return, and a thread ends once.
    if me.ending.load(SeqCst) || me.number == CONDUCTOR || me.is_in_kind(Kind::Waker) {
        return;
    }
    me.begin_ending(true);
    // SAFETY: Frames up to the thread's start are left without being unwound;
    // none has anything to drop.
    unsafe { ffi::pthread_exit(null_mut()) }
}

fn cancel(op: Op) {
    let world = world();
    let number = usize::from(op.b) % world.program.threads.len();
    let other = &world.workers[number];
    if world.forked.load(SeqCst) {
        return;
    }
    other.with_life(|| {
        if other.alive.load(SeqCst) {
            // SAFETY: The thread is not being joined yet.
            unsafe { libc::pthread_cancel(other.thread.load(SeqCst)) };
            other.cancelled.store(true, SeqCst);
        }
    });
}
