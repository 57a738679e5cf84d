// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runner's scopes, contexts and tasks.

use core::ffi::c_void;
use core::ptr::null_mut;

use threadlocalmap::error::Error;

use super::Runner;
use crate::api;
use crate::operation::Operation;

/// Scopes that a map has open at a time.
const MOST_SCOPES: usize = 6;
/// Contexts that are there at a time, and tasks.
const MOST_CONTEXTS: usize = 3;

unsafe extern "C" fn do_nothing(_: *mut c_void) {}

fn nth(number: u8, of: usize) -> Option<usize> {
    usize::from(number).checked_rem(of)
}

impl Runner {
    /// An operation about scopes, contexts or tasks.
    pub(super) fn step_task(&mut self, operation: Operation) {
        match operation {
            Operation::BeginScope => self.begin_scope(None),
            Operation::BeginIn(number) => {
                if let Some(at) = nth(number, self.contexts.len()) {
                    self.begin_scope(Some(at));
                }
            }
            Operation::EndScope(number) if number % 2 == 1 => self.end_another(number / 2),
            Operation::EndScope(_) => self.end_innermost(),
            Operation::Capture => {
                if self.contexts.len() < MOST_CONTEXTS {
                    let (captured, expected) = self.reference.capture();
                    self.contexts.push(api::capture().expect("memory"));
                    self.reference.contexts.push(captured);
                    self.compare(expected);
                }
            }
            Operation::FreeContext(number) => {
                if let Some(at) = nth(number, self.contexts.len()) {
                    let captured = self.reference.contexts.remove(at);
                    let expected = self.reference.free_context(captured);
                    // SAFETY: Captured here, and taken away.
                    unsafe { api::free_context(self.contexts.remove(at)) };
                    self.compare(expected);
                }
            }
            Operation::CreateTask => {
                if self.tasks.len() < MOST_CONTEXTS {
                    let (captured, expected) = self.reference.capture();
                    self.tasks.push(api::create_task(do_nothing, null_mut()).expect("memory"));
                    self.reference.tasks.push(captured);
                    self.compare(expected);
                }
            }
            Operation::RunTask(number) => {
                if let Some(at) = nth(number, self.tasks.len()) {
                    let captured = self.reference.tasks.remove(at);
                    let expected = self.reference.run_task(captured);
                    // SAFETY: Created here, and taken away.
                    unsafe { api::run_task(self.tasks.remove(at)) };
                    self.compare(expected);
                }
            }
            Operation::CancelTask(number) => {
                if let Some(at) = nth(number, self.tasks.len()) {
                    let captured = self.reference.tasks.remove(at);
                    let expected = self.reference.free_context(captured);
                    // SAFETY: As above.
                    unsafe { api::cancel_task(self.tasks.remove(at)) };
                    self.compare(expected);
                }
            }
            _ => unreachable!("an operation of another kind"),
        }
    }

    fn begin_scope(&mut self, captured: Option<usize>) {
        if self.reference.maps[&self.reference.current].depth >= MOST_SCOPES {
            return;
        }
        let id = match captured {
            None => {
                self.reference.begin_scope();
                // SAFETY: There is no context.
                unsafe { api::begin_scope(None) }
            }
            Some(at) => {
                let captured = self.reference.contexts[at].clone();
                let expected = self.reference.begin_in(&captured);
                // SAFETY: Captured here, not freed, and this thread's alone.
                let begun = unsafe { api::begin_scope(Some(self.contexts[at])) };
                self.compare(expected);
                begun
            }
        };
        let id = id.expect("memory");
        let scopes = self.scopes.entry(self.reference.current).or_default();
        assert!(!scopes.contains(&id) && id != 0, "a scope of that name is open");
        scopes.push(id);
    }

    fn end_innermost(&mut self) {
        let Some(id) = self.scopes.entry(self.reference.current).or_default().pop() else { return };
        let expected = self.reference.end_scope();
        assert_eq!(api::end_scope(id), Ok(()), "the innermost scope");
        assert_eq!(api::end_scope(id), Err(Error::Invalid), "a scope that has ended");
        self.compare(expected);
    }

    /// Tries to end a scope that is not the innermost, here or elsewhere.
    fn end_another(&mut self, number: u8) {
        let current = self.reference.current;
        let innermost = self.scopes.get(&current).and_then(|scopes| scopes.last().copied());
        let all = self.scopes.iter();
        let all = all.flat_map(|(map, scopes)| scopes.iter().map(move |id| (*map, *id)));
        let others: Vec<_> = all.filter(|(_, id)| Some(*id) != innermost).collect();
        if let Some(at) = nth(number, others.len()) {
            let (map, id) = others[at];
            assert_eq!(api::end_scope(id), self.reference.refuse_end(map == current));
        }
    }

    /// Contexts and tasks that are left, on another thread.
    pub(super) fn clear_contexts(&mut self) {
        while !self.contexts.is_empty() {
            self.step_task(Operation::FreeContext(0));
        }
        while !self.tasks.is_empty() {
            self.step_task(Operation::CancelTask(0));
        }
    }
}
