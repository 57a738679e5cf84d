// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library calls.
//!
//! Each callback first checks what it was called with against the shadow, then
//! does what its body says: anything, its thread's end included. `user` is the
//! key of the shadow; other arguments are numbers of bodies.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::Ordering::SeqCst;

use crate::ffi::{self, STOPPED};
use crate::frame::Kind;
use crate::program::{Code, Group};
use crate::report::fail;
use crate::shadow::{shadow, state, Record, ShadowKey, FROM_COPY, FROM_INIT, NO_MAP};
use crate::world::{me, world, Worker, CONDUCTOR};

/// Values of other keys that a call which is not for destroying may destroy.
const BUDGET: u32 = 8;

fn key_of(user: *mut c_void) -> &'static ShadowKey {
    // SAFETY: Every key's `user` is a key of the shadow, which is never freed.
    let key = unsafe { &*user.cast::<ShadowKey>() };
    if key.life.load(SeqCst) == 0 {
        fail(format_args!("a callback of key {} after its user_free", key.number()));
    }
    key
}

fn record_of(value: *mut c_void) -> &'static Record {
    match shadow().record_of(value) {
        Some(record) if record.state.load(SeqCst) != state::FREE => record,
        _ => fail(format_args!("a callback is given {value:p}, which was never a value")),
    }
}

/// A body's number as an argument, and back.
pub(crate) fn argument(body: usize) -> *mut c_void {
    body as *mut c_void
}

pub(crate) fn body_of(argument: *mut c_void) -> usize {
    argument as usize
}

pub(crate) extern "C" fn destroy(value: *mut c_void, reason: c_int, user: *mut c_void) {
    let (me, key, record) = (me(), key_of(user), record_of(value));
    let number = record.number();
    let before = record.state.swap(state::DESTROYED, SeqCst);
    let visited = record.visited.load(SeqCst);
    match before {
        state::OFFERED | state::HELD => {}
        state::GONE if visited => {}
        state::GONE => fail(format_args!(
            "value {number}: destroyed in a forked child, where its thread is not"
        )),
        state::DESTROYED => fail(format_args!("value {number}: destroyed twice")),
        state::HANDED => fail(format_args!("value {number}: destroyed after it was handed over")),
        _ => fail(format_args!("value {number}: destroyed, but its call had failed")),
    }
    if usize::from(record.key.load(SeqCst)) != key.number() {
        fail(format_args!("value {number}: destroyed by another key's callback"));
    }
    if record.visitors.load(SeqCst) != 0 {
        fail(format_args!("value {number}: destroyed while a visitor looks at it"));
    }
    if record.copiers.load(SeqCst) != 0 && reason == ffi::REASON_KEY_DEAD {
        fail(format_args!("value {number}: destroyed, its key being dead, while it is copied"));
    }
    check_reason(me, key, record, reason);
    if !key.spec.get().any && !may_destroy(me, record) {
        fail(format_args!(
            "value {number} of map {} of an OWNER key: destroyed by thread {}, reason {reason}",
            record.map.load(SeqCst),
            me.number
        ));
    }
    count(me, key);
    // Values that such callbacks set again and again are given up.
    let last = world().without.has(Group::Leaks) && reason >= ffi::REASON_SCOPE_END;
    let body = if last { 0 } else { key.spec.get().destroy_body };
    me.callback(Kind::Destroy, Some(key), Some(record), body);
}

/// Whether the thread may end a value of an OWNER key.
fn may_destroy(me: &Worker, record: &Record) -> bool {
    let map = record.map.load(SeqCst);
    if map == NO_MAP || usize::from(map) == me.number {
        return true;
    }
    let owner = &shadow().maps[usize::from(map)];
    if record.visited.load(SeqCst) && owner.left.load(SeqCst) {
        return true;
    }
    usize::from(map) > CONDUCTOR
        && (owner.destroyer.load(SeqCst) == me.number + 1
            || owner.attached.load(SeqCst) == me.number + 1
            || me.map() == map)
}

fn check_reason(me: &Worker, key: &ShadowKey, record: &Record, reason: c_int) {
    let map = record.map.load(SeqCst);
    let owner = shadow().maps.get(usize::from(map));
    let visited = record.visited.load(SeqCst);
    let can_be = match reason {
        ffi::REASON_KEY_DEAD => key.is_dead() || key.counting.load(SeqCst) > 0,
        ffi::REASON_PURGED => key.purges.load(SeqCst) > 0,
        ffi::REASON_THREAD_EXIT => me.ending.load(SeqCst) || visited,
        ffi::REASON_DETACHED => {
            let inside = world().without.has(Group::Reentrant);
            me.detached.load(SeqCst) || visited || inside
        }
        ffi::REASON_MAP_DESTROYED => {
            visited || owner.is_some_and(|map| map.destroyer.load(SeqCst) != 0)
        }
        1 | 2 | 5 => true,
        _ => false,
    };
    if !can_be {
        let number = record.number();
        fail(format_args!("value {number}: destroyed for reason {reason}, which can't be"));
    }
}

/// Counts a value that a call destroys though it is not for destroying.
fn count(me: &Worker, key: &ShadowKey) {
    let Some(call) = me.call() else { return };
    let sparing =
        [Code::Set, Code::SetNull, Code::Get, Code::TryGet, Code::Swap, Code::Take, Code::Remove];
    let other = call.key().is_some_and(|called| called.number() != key.number());
    if other && sparing.iter().any(|code| call.is_call(*code)) {
        let foreign = call.foreign.fetch_add(1, SeqCst) + 1;
        if foreign > BUDGET && !world().without.has(Group::Budget) {
            fail(format_args!("one call destroys more than {BUDGET} values of other keys"));
        }
        let spec = key.spec.get();
        if spec.explicit && !spec.any {
            fail(format_args!("a value of an EXPLICIT key is destroyed by a call on another key"));
        }
    }
}

pub(crate) extern "C" fn init(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    let (me, key) = (me(), key_of(user));
    let map = me.map();
    let version = shadow().touch(map, key);
    me.callback(Kind::Make, Some(key), None, key.spec.get().init_body);
    make(me, key, map, version, value)
}

pub(crate) extern "C" fn copy(
    value: *mut c_void,
    result: *mut *mut c_void,
    user: *mut c_void,
) -> c_int {
    let (me, key, record) = (me(), key_of(user), record_of(value));
    if !record.is_alive() && !world().without.has(Group::Dangling) {
        let number = record.number();
        fail(format_args!("value {number}: given to copy after its end"));
    }
    // Its own body may end it: that is the program's fault.
    me.callback(Kind::Copy, Some(key), Some(record), key.spec.get().copy_body);
    make(me, key, NO_MAP, 0, result)
}

fn make(me: &Worker, key: &ShadowKey, map: u16, version: u32, result: *mut *mut c_void) -> c_int {
    let number = key.makes.fetch_add(1, SeqCst);
    if key.spec.get().fails && number % 3 == 2 {
        return 1;
    }
    let origin = if map == NO_MAP { FROM_COPY } else { FROM_INIT };
    let Some(record) = shadow().make(key, map, origin) else { return 1 };
    record.state.store(state::HELD, SeqCst);
    if let Some(call) = me.call() {
        // For the call of tls_get that init was called by: see `ops`.
        call.record.store(core::ptr::from_ref(record).cast_mut(), SeqCst);
        call.met.store(u64::from(version), SeqCst);
    }
    // SAFETY: The library gives a place for the value.
    unsafe { result.write(core::ptr::from_ref(record).cast_mut().cast()) };
    0
}

pub(crate) extern "C" fn user_free(user: *mut c_void) {
    let (me, key) = (me(), key_of(user));
    if key.freed.swap(shadow().now(), SeqCst) != 0 {
        fail(format_args!("key {}: user_free is called twice", key.number()));
    }
    if !key.is_dead() && key.counting.load(SeqCst) == 0 {
        fail(format_args!("key {}: user_free is called while it is live", key.number()));
    }
    if key.running.load(SeqCst) != 0 {
        fail(format_args!("key {}: user_free is called while a callback runs", key.number()));
    }
    let body = key.spec.get().free_body;
    key.life.store(0, SeqCst);
    me.callback(Kind::Free, None, None, body);
}

pub(crate) extern "C" fn visit(value: *mut c_void, _thread: u64, body: *mut c_void) -> c_int {
    let me = me();
    let call = me.call();
    let Some(call) = call.filter(|call| call.is_call(Code::ForEach)) else {
        fail(format_args!("visit is called outside of tls_for_each"));
    };
    if value.is_null() {
        me.callback(Kind::Other, None, None, body_of(body));
        return 0;
    }
    let record = record_of(value);
    let number = record.number();
    if !record.is_alive() && record.state.load(SeqCst) != state::GONE {
        fail(format_args!("value {number}: visited after its end"));
    }
    if call.key().is_some_and(|key| key.number() != usize::from(record.key.load(SeqCst))) {
        fail(format_args!("value {number}: visited under another key"));
    }
    let map = record.map.load(SeqCst);
    if map != NO_MAP {
        let met = call.met.fetch_or(1 << map, SeqCst);
        let scoped = shadow().maps[usize::from(map)].scoped.load(SeqCst);
        if met >> map & 1 != 0 && !scoped && !world().without.has(Group::Twice) {
            fail(format_args!("one tls_for_each visits map {map} twice (value {number})"));
        }
    }
    me.callback(Kind::Visit, None, Some(record), body_of(body));
    if !record.is_alive() && record.state.load(SeqCst) == state::DESTROYED {
        fail(format_args!("value {number}: destroyed before its visitor returned"));
    }
    stops_at(number)
}

pub(crate) extern "C" fn take(value: *mut c_void, _thread: u64, body: *mut c_void) -> c_int {
    let me = me();
    if !value.is_null() {
        hand_over(me, value, None, "tls_scrape");
    }
    me.callback(Kind::Take, None, None, body_of(body));
    if value.is_null() {
        0
    } else {
        stops_at(record_of(value).number())
    }
}

/// What a visitor returns: one in so many values ends the visit.
fn stops_at(number: usize) -> c_int {
    if number % 7 == 6 {
        STOPPED
    } else {
        0
    }
}

/// The library gives a value back, undestroyed.
pub(crate) fn hand_over(me: &Worker, value: *mut c_void, map: Option<u16>, how: &str) {
    let record = record_of(value);
    let number = record.number();
    let before = record.state.swap(state::HANDED, SeqCst);
    if !matches!(before, state::OFFERED | state::HELD | state::GONE) {
        fail(format_args!("value {number}: handed over by {how} after its end (state {before})"));
    }
    let looks = |frame: &&crate::frame::Frame| {
        frame.kind() == Kind::Visit && frame.record().is_some_and(|seen| seen.number() == number)
    };
    let mine = me.frames().filter(looks).count();
    if usize::from(record.visitors.load(SeqCst)) > mine {
        fail(format_args!("value {number}: handed over by {how} while a thread visits it"));
    }
    let owner = record.map.load(SeqCst);
    if map.is_some_and(|map| map != owner && owner != NO_MAP) {
        fail(format_args!("value {number} of map {owner}: handed over by {how} elsewhere"));
    }
}

pub(crate) extern "C" fn receive(_key: ffi::Key, value: *mut c_void, body: *mut c_void) {
    let me = me();
    if !value.is_null() {
        hand_over(me, value, Some(me.map()), "tls_take_all");
    }
    me.callback(Kind::Take, None, None, body_of(body));
}

pub(crate) extern "C" fn visit_local(_key: ffi::Key, value: *mut c_void, body: *mut c_void) {
    let me = me();
    if !value.is_null() {
        let record = record_of(value);
        let key = shadow().key_of(record);
        if !record.is_alive() && !key.spec.get().any && !key.spec.get().enumerable {
            let number = record.number();
            fail(format_args!("value {number}: met by tls_for_each_local after its end"));
        }
    }
    me.callback(Kind::Other, None, None, body_of(body));
}

pub(crate) extern "C" fn write(_bytes: *const c_char, _length: usize, body: *mut c_void) -> c_int {
    // A dump has many parts: the first few do something.
    let me = me();
    let parts = me.call().map_or(0, |call| call.foreign.fetch_add(1, SeqCst));
    me.callback(Kind::Other, None, None, if parts < 2 { body_of(body) } else { 0 });
    0
}

/// A hook, a task's function, a destructor of a thread-local object.
pub(crate) extern "C" fn other(body: *mut c_void) {
    me().callback(Kind::Other, None, None, body_of(body));
}

/// A hook that was registered before its thread's end: it must run once.
pub(crate) extern "C" fn hook(body: *mut c_void) {
    if shadow().hooks.fetch_sub(1, SeqCst) <= 0 {
        fail(format_args!("a hook is called twice"));
    }
    other(body);
}

pub(crate) extern "C" fn wake(body: *mut c_void) {
    me().callback(Kind::Waker, None, None, body_of(body));
}

/// Writes over the part of the stack that frames were on which are gone: who
/// still has a pointer to one finds nonsense.
#[inline(never)]
pub(crate) fn scribble() {
    let mut junk = [0x5a_u8; 16384];
    core::hint::black_box(&mut junk);
}

/// Called where a thread ends inside of its list of operations.
pub(crate) extern "C" fn cleanup_handler(_: *mut c_void) {
    let me = me();
    me.begin_ending(true);
    scribble();
    me.callback(Kind::Other, None, None, me.handler_body.load(SeqCst));
}

/// The destructor of the older and the younger pthread key.
pub(crate) fn key_destructor(which: usize, value: *mut c_void) {
    let me = me();
    me.begin_ending(false);
    scribble();
    let passes = me.passes[which].fetch_sub(1, SeqCst);
    if passes > 0 {
        let key = world().os_keys[which].load(SeqCst);
        // SAFETY: The key was made when the run began.
        unsafe { libc::pthread_setspecific(key, value) };
    }
    // A first use of the library that comes later can't be seen to be late: nobody
    // may end what it stores (tls_thread_attach() says so).
    if me.pass.load(SeqCst) <= LATEST_USE {
        me.callback(Kind::Other, None, None, body_of(value) % crate::program::BODIES);
    }
}

/// The last pass of destructors in which one of ours uses the library.
const LATEST_USE: i32 = 2;

/// The pthread key whose destructor counts passes.
pub(crate) const CLOCK: usize = 2;

pub(crate) extern "C" fn count_passes(value: *mut c_void) {
    me().pass.fetch_add(1, SeqCst);
    start_clock(value);
}

/// Has [`count_passes`] called in the next pass.
pub(crate) fn start_clock(value: *mut c_void) {
    let key = world().os_keys[CLOCK].load(SeqCst);
    // SAFETY: The key was made when the run began.
    unsafe { libc::pthread_setspecific(key, value) };
}

pub(crate) extern "C" fn older_destructor(value: *mut c_void) {
    key_destructor(0, value);
}

pub(crate) extern "C" fn younger_destructor(value: *mut c_void) {
    key_destructor(1, value);
}
