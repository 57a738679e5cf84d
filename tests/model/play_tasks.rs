//! The player's scopes, contexts and tasks.

use core::ffi::c_void;
use core::ptr::null_mut;

use threadlocalmap::error::Error;
use threadlocalmap::key::holder::Stand;
use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::{context, scope, task};

use super::Player;
use crate::events::KeyName;
use crate::operation::Operation;
use crate::reference::Entries;

/// Scopes that a map has open at a time.
const MOST_SCOPES: usize = 6;
/// Contexts that are there at a time, and tasks.
const MOST_CONTEXTS: usize = 3;

unsafe extern "C" fn do_nothing(_: *mut c_void) {}

fn nth(number: u8, of: usize) -> Option<usize> {
    usize::from(number).checked_rem(of)
}

impl Player {
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
                    self.contexts.push(context::capture().expect("memory"));
                    self.reference.contexts.push(captured);
                    self.settle(expected);
                }
            }
            Operation::FreeContext(number) => {
                if let Some(at) = nth(number, self.contexts.len()) {
                    let captured = self.reference.contexts.remove(at);
                    let expected = self.reference.free_context(captured);
                    // SAFETY: Captured here, and taken away.
                    unsafe { context::free(self.contexts.remove(at)) };
                    self.settle(expected);
                }
            }
            Operation::CreateTask => {
                if self.tasks.len() < MOST_CONTEXTS {
                    let (captured, expected) = self.reference.capture();
                    self.tasks.push(task::create(do_nothing, null_mut()).expect("memory"));
                    self.reference.tasks.push(captured);
                    self.settle(expected);
                }
            }
            Operation::RunTask(number) => {
                if let Some(at) = nth(number, self.tasks.len()) {
                    let captured = self.reference.tasks.remove(at);
                    let expected = self.reference.run_task(captured);
                    // SAFETY: Created here, and taken away.
                    unsafe { task::run(self.tasks.remove(at)) };
                    self.settle(expected);
                }
            }
            Operation::CancelTask(number) => {
                if let Some(at) = nth(number, self.tasks.len()) {
                    let captured = self.reference.tasks.remove(at);
                    let expected = self.reference.free_context(captured);
                    // SAFETY: As above.
                    unsafe { task::cancel(self.tasks.remove(at)) };
                    self.settle(expected);
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
                scope::begin()
            }
            Some(at) => {
                let captured = self.reference.contexts[at].clone();
                let expected = self.reference.begin_in(&captured);
                // SAFETY: Captured here, not freed, and this thread's alone.
                let begun = unsafe { context::enter(self.contexts[at], false) };
                self.settle(expected);
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
        assert_eq!(scope::end(id), Ok(()), "the innermost scope");
        assert_eq!(scope::end(id), Err(Error::Invalid), "a scope that has ended");
        self.settle(expected);
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
            assert_eq!(scope::end(id), self.reference.refuse_end(map == current));
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

    /// What scopes hide in a map: it is there, and nothing else is.
    pub(super) fn survey_hidden(&self, map: &Map, entries: &Entries) {
        let there = aside(map);
        for hidden in &entries.hidden {
            let one = (self.handles[hidden.name], hidden.entry.depth);
            assert!(there.contains(&one), "key {} at depth {}", hidden.name, one.1);
        }
        let most = entries.hidden.len() + entries.taken;
        assert!(there.len() <= most, "{} entries are set aside", there.len());
    }

    /// Stale entries without a callback that scopes hide: which have gone.
    pub(super) fn gone_from_hidden(&self, map: &Map) -> Vec<(KeyName, usize)> {
        let there = aside(map);
        let silent = self.reference.silent_hidden().into_iter();
        let gone =
            silent.filter(|(name, entry)| !there.contains(&(self.handles[*name], entry.depth)));
        gone.map(|(name, entry)| (name, entry.value)).collect()
    }
}

/// The entries that scopes of a map hide: their keys, and where they were set.
fn aside(map: &Map) -> Vec<(u64, usize)> {
    let found = core::cell::RefCell::new(Vec::new());
    map.for_each_record(|holder| {
        // SAFETY: In a list of a map that this thread has, or nobody.
        let record = unsafe { holder.as_ref() };
        if record.stand.get() == Stand::Aside {
            found.borrow_mut().push((record.handle.get(), usize::from(record.depth.get())));
        }
    });
    found.into_inner()
}
