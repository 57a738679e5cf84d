// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hooks of a thread's end, and wakers: what a program has registered is called.
//!
//! # The idea
//!
//! A hook may belong to a key, its *owner*: then it is called only while that key
//! lives, and the key has a pin meanwhile, for which `tls_key_drain` waits. So a plug-in
//! makes a key, registers hooks that belong to it, and at last releases the key and
//! drains it: no code of the plug-in is called after that, on whatever thread.
//!
//! Nothing has to find a dead key's hooks: they are passed over when their turn comes,
//! and forgotten when another one is registered.
//!
//! # Invariants
//!
//! 1. A hook is out of its list before it is called: if it ends the thread, the others
//!    are called still, and it is not called again.
//! 2. While a key's hook runs, a node of the thread's chain says whose pin that is; if
//!    the thread ends, [`recover`] drops it, and wakes those that are not awake yet.

use core::ptr::{null, NonNull};

use crate::error::Error;
use crate::key::call::{Call, CallKind};
use crate::key::handle::generation;
use crate::key::slot::KeySlot;
use crate::key::{self, waiters};
use crate::local::hooks::{Hook, HookCall, Share, Waiting, Waker};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::sys::block;
use crate::sys::memory::{self, OutOfMemory};
use crate::sys::sync::Ordering;

/// When a hook of a thread's end is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the thread's values end.
    Before = 0,
    /// After they have.
    After = 1,
}

/// Whether a hook may be called: its owner lives, or it has none.
fn is_wanted(hook: Hook) -> bool {
    hook.owner == 0 || key::live(hook.owner).is_ok()
}

/// Registers a hook of the thread's end. Errors: `NoMemory`, `Exiting`.
pub fn at_thread_exit(thread: &Thread, when: When, hook: Hook) -> Result<(), Error> {
    thread.check_open()?;
    let hooks = &thread.hooks[when as usize];
    if !hooks.has_room() && !block::is_in_callback() {
        // No loop goes over them: in a callback one may.
        forget_unwanted(thread, when);
    }
    hooks.reserve(1)?;
    let call = match hook.owner {
        0 => None,
        _ => Some(memory::allocate::<HookCall>()?),
    };
    hooks.push(Waiting { hook: Some(hook), call });
    Ok(())
}

fn forget_unwanted(thread: &Thread, when: When) {
    let hooks = &thread.hooks[when as usize];
    let mut kept = 0;
    for index in 0..hooks.len() {
        let Some(waiting) = hooks.get(index) else { break };
        if waiting.hook.is_some_and(is_wanted) {
            hooks.set(kept, waiting);
            kept += 1;
        } else {
            free_call(waiting.call);
        }
    }
    hooks.truncate(kept);
}

fn free_call(call: Option<NonNull<HookCall>>) {
    if let Some(call) = call {
        // SAFETY: Allocated when the hook was registered; it is in no chain.
        unsafe { memory::free(call) };
    }
}

/// Runs the hooks that are there now, the latest first. What they add stands behind
/// them, for the next round.
pub(super) fn run(thread: &Thread, when: When) {
    let hooks = &thread.hooks[when as usize];
    let round = hooks.len();
    for index in (0..round).rev() {
        let Some(Waiting { hook: Some(hook), call }) = hooks.get(index) else { continue };
        hooks.set(index, Waiting { hook: None, call: None });
        let Some(memory) = call else {
            call_hook(hook);
            continue;
        };
        // SAFETY: Allocated when the hook was registered, for this one call.
        let call = unsafe { memory.as_ref() };
        call.call.begin(&thread.calls, CallKind::Hook);
        call_owned(Some(thread), call, hook);
        call.call.end(&thread.calls);
        free_call(Some(memory));
    }
    hooks.remove_first(round);
}

/// Forgets all hooks of a thread that has ended: none was left, but of those that the
/// rounds have not come to.
pub(super) fn forget_all(thread: &Thread) {
    for hooks in &thread.hooks {
        hooks.iter().for_each(|waiting| free_call(waiting.call));
        hooks.free();
    }
}

fn call_hook(hook: Hook) {
    // SAFETY: The one who registered it promises that it may be called with this
    // argument, now and on this thread; no lock is held.
    block::call_out(|| unsafe { (hook.function)(hook.argument) });
}

/// Calls a hook, if its owner lives, with a pin for that.
fn call_owned(thread: Option<&Thread>, call: &HookCall, hook: Hook) {
    if hook.owner == 0 {
        return call_hook(hook);
    }
    let Ok(slot) = key::find(hook.owner) else { return };
    if slot.pin_if_live(generation(hook.owner)) {
        call.owner.set(slot);
        call_hook(hook);
        drop_owner(thread, call);
    }
}

/// [`call_owned`], with no memory for a node.
fn call_without_node(thread: Option<&Thread>, hook: Hook) {
    // SAFETY: All zero is a valid one.
    let call = unsafe { core::mem::zeroed::<HookCall>() };
    call_owned(thread, &call, hook);
}

fn drop_owner(thread: Option<&Thread>, call: &HookCall) {
    // SAFETY: Slots live for ever.
    if let Some(slot) = unsafe { call.owner.replace(null()).as_ref::<'static>() } {
        retire::unpin(thread, slot);
        waiters::wake();
    }
}

/// The slot whose pin a call has, if any.
pub(super) fn owner_of(call: &Call) -> Option<&'static KeySlot> {
    // SAFETY: A call of this kind is part of one, which is there while it is in the chain.
    let owner = unsafe { HookCall::of_call(call).as_ref() }.owner.get();
    // SAFETY: Slots live for ever.
    unsafe { owner.as_ref() }
}

/// Calls those whom a map wants woken.
///
/// Without memory for the call's node, or without a thread, they are called all the
/// same: only if one of them ends its thread, its owner keeps the pin.
pub(super) fn wake(thread: Option<&Thread>, wakers: Share) {
    let memory = thread.and_then(|thread| Some((thread, memory::allocate::<HookCall>().ok()?)));
    let Some((thread, memory)) = memory else {
        wakers.iter().for_each(|waker| call_without_node(thread, waker.hook));
        return wakers.drop_share();
    };
    // SAFETY: Just allocated.
    let call = unsafe { memory.as_ref() };
    call.wakers.set(wakers.into_pointer());
    call.call.begin(&thread.calls, CallKind::Hook);
    wake_rest(thread, memory);
}

/// Calls those of a call's wakers that were not called yet, and ends the call.
fn wake_rest(thread: &Thread, memory: NonNull<HookCall>) {
    // SAFETY: In the chain, so whole.
    let call = unsafe { memory.as_ref() };
    // SAFETY: The call's share; taken back here and now.
    if let Some(wakers) = unsafe { Share::from_pointer(call.wakers.get()) } {
        while let Some(waker) = wakers.get(call.called.get()) {
            call.called.set(call.called.get() + 1);
            call_owned(Some(thread), call, waker.hook);
        }
        call.wakers.set(null());
        wakers.drop_share();
    }
    call.call.end(&thread.calls);
    // SAFETY: Allocated for this call, which is over.
    unsafe { memory::free(memory) };
}

/// Ends a call whose hook never returned.
pub(super) fn recover(thread: &Thread, call: &Call) {
    let memory = HookCall::of_call(call);
    // SAFETY: In the chain, so whole.
    drop_owner(Some(thread), unsafe { memory.as_ref() });
    wake_rest(thread, memory);
}

/// Has a function called whenever the thread's inbox becomes non-empty, or now, if there
/// are stale values already. One that is `replaceable` takes the place of the one
/// before; `None`: that goes. Errors: `NoMemory`, `Exiting`.
pub fn on_stale(thread: &Thread, hook: Option<Hook>, replaceable: bool) -> Result<(), Error> {
    thread.check_open()?;
    let inbox = &thread.own_map().inbox;
    let new = hook.map(|hook| Waker { hook, replaceable });
    let old = inbox.wakers();
    let made = joined(old.as_ref(), new);
    if let Some(old) = old {
        old.drop_share();
    }
    inbox.set_wakers(made?);
    if let Some(waker) = new.filter(|_| inbox.stale.load(Ordering::Relaxed) > 0) {
        match Share::new(1, core::iter::once(waker)) {
            Ok(alone) => wake(Some(thread), alone),
            Err(_) => call_without_node(Some(thread), waker.hook),
        }
    }
    Ok(())
}

/// A list of those that are still wanted, and a new one. Errors: `OutOfMemory`.
fn joined(old: Option<&Share>, new: Option<Waker>) -> Result<Option<Share>, OutOfMemory> {
    let replaces = new.is_none_or(|new| new.replaceable);
    let most = old.map_or(0, Share::count) + u32::from(new.is_some());
    let kept = old.into_iter().flat_map(Share::iter);
    let kept = kept.filter(|waker| is_wanted(waker.hook) && !(replaces && waker.replaceable));
    if new.is_none() && kept.clone().next().is_none() {
        return Ok(None);
    }
    Share::new(most, kept.chain(new)).map(Some)
}
