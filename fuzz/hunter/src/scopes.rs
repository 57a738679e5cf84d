// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on scopes, contexts, tasks and maps that move.
//!
//! What these make is used by several threads at once, and ended by one: so each
//! lies in a slot, which says who uses it, and is taken out by who ends it.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use crate::callbacks::{self, argument};
use crate::ffi::{self, BUSY, EXITING, INIT, INVALID, NO_MEMORY, OK, REENTRANT};
use crate::ops::{expect, simple, slot};
use crate::program::{Code, Op, BODIES};
use crate::report::fail;
use crate::shadow::{shadow, NO_MAP};
use crate::slot::Slot;
use crate::world::{world, Worker, CONDUCTOR};

pub(crate) fn scope_begin(me: &Worker, op: Op) {
    let map = usize::from(me.map());
    let Some(owner) = shadow().maps.get(map) else { return };
    if !owner.has_room() {
        return;
    }
    owner.scoped.store(true, SeqCst);
    shadow().touch_all(map as u16);
    let contexts = &world().contexts;
    let slot = contexts.get(usize::from(op.b % 6));
    let context = slot.map_or(null_mut(), Slot::borrow);
    let mut scope = 0;
    // SAFETY: The context is borrowed: nobody frees it meanwhile.
    let code = me.call_in(op.code, None, |_| unsafe { ffi::tls_scope_begin(&mut scope, context) });
    if let Some(slot) = slot.filter(|_| !context.is_null()) {
        slot.give_back();
    }
    if code == OK {
        owner.push(scope);
    }
    expect(op.code, code, &[OK, INIT, NO_MEMORY, EXITING], None);
}

pub(crate) fn scope_end(me: &Worker, op: Op) {
    let map = usize::from(me.map());
    let Some(owner) = shadow().maps.get(map) else { return };
    let Some(scope) = owner.innermost() else { return };
    shadow().touch_all(map as u16);
    // SAFETY: Any thread may.
    let code = me.call_in(op.code, None, |_| unsafe { ffi::tls_scope_end(scope) });
    if code == OK || code == INVALID {
        owner.forget(scope);
    }
    expect(op.code, code, &[OK, BUSY, INVALID, REENTRANT], None);
}

pub(crate) fn capture(me: &Worker, op: Op) {
    let mut context = null_mut();
    // SAFETY: The pointer is good.
    let code = me.call_in(op.code, None, |_| unsafe { ffi::tls_context_capture(&mut context) });
    expect(op.code, code, &[OK, INIT, NO_MEMORY, EXITING], None);
    if code == OK {
        shadow().contexts.fetch_add(1, SeqCst);
        if !slot(&world().contexts, op.b).put(context) {
            end_context(me, Code::FreeContext, context);
        }
    }
}

pub(crate) fn end_context(me: &Worker, code: Code, context: *mut c_void) {
    if !context.is_null() {
        shadow().contexts.fetch_sub(1, SeqCst);
        // SAFETY: It was taken out of its slot: nobody else uses it.
        me.call_in(code, None, |_| unsafe { ffi::tls_context_free(context) });
    }
}

pub(crate) fn task_create(me: &Worker, op: Op) {
    let mut task = null_mut();
    let arg = argument(usize::from(op.b) % BODIES);
    // SAFETY: The function takes a number of a body.
    let code = me.call_in(op.code, None, |_| unsafe {
        ffi::tls_task_create(&mut task, callbacks::other, arg)
    });
    expect(op.code, code, &[OK, INIT, NO_MEMORY, EXITING], None);
    if code == OK {
        shadow().contexts.fetch_add(1, SeqCst);
        if !slot(&world().tasks, op.a).put(task) {
            end_task(me, Code::TaskCancel, task);
        }
    }
}

pub(crate) fn end_task(me: &Worker, code: Code, task: *mut c_void) {
    if task.is_null() {
        return;
    }
    shadow().contexts.fetch_sub(1, SeqCst);
    let map = me.map();
    if code == Code::TaskRun && map != NO_MAP {
        shadow().maps[usize::from(map)].scoped.store(true, SeqCst);
        shadow().touch_all(map);
    }
    // SAFETY: It was taken out of its slot: nobody else uses it.
    me.call_in(code, None, |_| unsafe {
        if code == Code::TaskRun {
            ffi::tls_task_run(task);
        } else {
            ffi::tls_task_cancel(task);
        }
    });
}

pub(crate) fn map_create(me: &Worker, op: Op) {
    let Some(number) = shadow().make_map() else { return };
    let mut map = null_mut();
    let code = simple(me, op, &[OK, NO_MEMORY], || {
        // SAFETY: The pointer is good.
        unsafe { ffi::tls_map_create(&mut map) }
    });
    if code != OK {
        return;
    }
    let slot = slot(&world().maps, op.a);
    shadow().maps[number].pointer.store(map, SeqCst);
    if !slot.put(map) {
        map_destroy(me, map);
    }
}

pub(crate) fn map_switch(me: &Worker, op: Op) {
    let shadow = shadow();
    let slot = world().maps.get(usize::from(op.a % 5));
    let map = slot.map_or(null_mut(), Slot::borrow);
    let current = me.map();
    let mut previous = null_mut();
    // SAFETY: The map is borrowed: nobody destroys it meanwhile.
    let code = me.call_in(op.code, None, |_| unsafe { ffi::tls_map_switch(map, &mut previous) });
    if code == OK {
        if usize::from(current) > CONDUCTOR && current != NO_MAP && map != previous {
            let left = &shadow.maps[usize::from(current)].attached;
            let _ = left.compare_exchange(me.number + 1, 0, SeqCst, SeqCst);
        }
        if let Some(number) = shadow.map_number(map).filter(|_| !map.is_null()) {
            shadow.maps[number].attached.store(me.number + 1, SeqCst);
        }
        let expected = shadow.maps.get(usize::from(current));
        let expected = expected.map_or(null_mut(), |map| map.pointer.load(SeqCst));
        if previous != expected {
            fail(format_args!("tls_map_switch: the previous map is not the one that was current"));
        }
    }
    if let Some(slot) = slot.filter(|_| !map.is_null()) {
        slot.give_back();
    }
    expect(op.code, code, &[OK, BUSY, REENTRANT, NO_MEMORY, EXITING], None);
}

/// Destroys a map that was taken out of its slot.
pub(crate) fn map_destroy(me: &Worker, map: *mut c_void) -> c_int {
    let Some(number) = shadow().map_number(map) else {
        fail(format_args!("the hunter has lost a map"));
    };
    let owner = &shadow().maps[number];
    let inside = me.is_inside();
    if !inside {
        shadow().touch_all(number as u16);
        owner.destroyer.store(me.number + 1, SeqCst);
    }
    // SAFETY: It was taken out of its slot: nobody uses it, or it is attached.
    let code = me.call_in(Code::MapDestroy, None, |_| unsafe { ffi::tls_map_destroy(map) });
    expect(Code::MapDestroy, code, &[OK, BUSY, REENTRANT, NO_MEMORY, EXITING], None);
    if code == OK {
        owner.left.store(true, SeqCst);
        owner.pointer.store(null_mut(), SeqCst);
    } else if !inside {
        owner.destroyer.store(0, SeqCst);
    }
    code
}
