//! Plays a script: one thread for each part, then the end of everything; and
//! asserts what must hold after any schedule.
//!
//! * Each value that the library took is ended exactly once, on a thread that
//!   the key allows, or handed over; each key's `user_free` is called once, after
//!   that (see [`crate::ledger`]).
//! * A call fails only for a reason that the script gives it.
//! * When all threads are through, each one's stale count is exactly the number
//!   of its values that have to be ended, and so is what it expunges.
//! * After a drain that found nothing, nothing is called.
//! * At the end no memory is in use, no key and no map is left.

use std::sync::Arc;

use threadlocalmap::error::Error;
use threadlocalmap::key::{self, handle, options::KeyOptions};
use threadlocalmap::sys::modelled::{self, Checker};
use threadlocalmap::thread::switch::MapPointer;
use threadlocalmap::thread::{
    keys, others, reach, record, stale, stats, switch, values, visit, wait,
};

use crate::ledger;
use crate::orderings::Weakened;
pub use crate::script::{Script, Step};

/// A checker that can run threads.
pub trait Machine: Checker {
    /// A thread that can be waited for.
    type Thread;
    /// Begins an execution, with these orderings weakened.
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

/// A map that threads take turns with.
#[derive(Clone, Copy)]
struct Shared(Option<MapPointer>);

// SAFETY: Whoever switches to it is refused while another has it.
unsafe impl Send for Shared {}

/// What all threads of an execution know.
#[derive(Clone)]
struct Play {
    script: Arc<Script>,
    handle: u64,
    key: usize,
    map: Shared,
}

/// Plays the script once.
///
/// # Panics
///
/// With what was found.
pub fn play<M: Machine>(machine: &'static M, script: &Script, weakened: &[Weakened]) {
    machine.begin(script, weakened);
    let moving = script.has(&[Step::Adopt]);
    ledger::begin(machine, moving);
    let (options, key) = ledger::new_key(script.rules, script.init);
    let play = prepare(machine, script, &options, key, moving);
    machine.play(None);
    let threads: Vec<_> = (1..script.parts.len())
        .map(|number| {
            let play = play.clone();
            machine.spawn(move || play.perform(&play.script.parts[number].then))
        })
        .collect();
    play.perform(&script.parts[0].then);
    threads.into_iter().for_each(|thread| machine.join(thread));
    play.finish(machine);
    let mut found = ledger::found();
    found.extend(machine.found());
    assert!(found.is_empty(), "{script:?}\n{}", found.join("\n"));
}

/// Makes the key, and plays what comes before.
fn prepare<M: Machine>(
    machine: &M,
    script: &Script,
    options: &KeyOptions,
    key: usize,
    moving: bool,
) -> Play {
    let handle = keys::create(options).expect("there is memory");
    for _ in 1..script.count(Step::Release) {
        key::retain(handle).expect("it is alive");
    }
    let map = Shared(moving.then(|| switch::create().expect("there is memory")));
    let play = Play { script: Arc::new(script.clone()), handle, key, map };
    for (number, part) in script.parts.iter().enumerate() {
        machine.play(Some(number as u64 + 1));
        play.perform(&part.before);
    }
    play
}

impl Play {
    /// Whether an error has a reason in the script.
    fn may(&self, error: Error) -> bool {
        let has = |steps: &[Step]| self.script.has(steps);
        match error {
            Error::DeadKey => has(&[Step::Release]),
            Error::Busy => has(&[Step::Visit, Step::Purge, Step::Scrape, Step::Adopt]),
            _ => false,
        }
    }

    fn expect(&self, step: Step, error: Error) {
        ledger::expect(self.may(error), || format!("{step:?} has failed with {error:?}"));
    }

    fn perform(&self, steps: &[Step]) {
        steps.iter().for_each(|step| self.take(*step));
    }

    fn take(&self, step: Step) {
        let outcome = match step {
            Step::Set => self.store(|value| values::set(self.handle, value)),
            Step::Swap => {
                ledger::asking(self.key);
                self.store(|value| values::swap(self.handle, value).map(ledger::handed_over))
            }
            Step::Take => {
                ledger::asking(self.key);
                match values::take(self.handle) {
                    Err(Error::Absent) => Ok(()),
                    taken => taken.map(ledger::handed_over),
                }
            }
            Step::Remove => {
                ledger::removing(self.key);
                values::remove(self.handle)
            }
            Step::Get => {
                ledger::got(self.key, values::get(self.handle));
                Ok(())
            }
            Step::Expunge => {
                stale::expunge();
                Ok(())
            }
            Step::Release => self.release(),
            Step::Attach => record::attach_in_full(),
            Step::Detach => {
                ledger::leaving();
                record::detach()
            }
            Step::Exit => {
                ledger::leaving();
                modelled::end_thread();
                Ok(())
            }
            Step::Visit => visit::for_each(self.handle, ledger::visit, ledger::user(self.key)),
            Step::Purge => reach::purge(self.handle).map(|_| ()),
            Step::Scrape => reach::scrape(self.handle, ledger::receive, ledger::user(self.key)),
            Step::Drain => self.drain(0),
            Step::Wait => self.drain(-1),
            Step::Create => self.create(),
            Step::Use => {
                ledger::uses(self.key);
                Ok(())
            }
            Step::Guess => {
                let (home, next) =
                    (handle::home(handle::index(self.handle)), handle::generation(self.handle) + 1);
                let value = values::get(handle::combine(home, next));
                if !value.is_null() {
                    ledger::got(ledger::key_of(value), value);
                }
                Ok(())
            }
            Step::Notice => {
                let me = modelled::current_thread() as usize as *mut std::ffi::c_void;
                others::on_stale(Some(ledger::notify), me)
            }
            // SAFETY: The map is destroyed when all threads are through.
            Step::Adopt => unsafe { switch::switch(self.map.0) }.map(|_| ()),
            // SAFETY: As above.
            Step::Leave => unsafe { switch::switch(None) }.map(|_| ()),
        };
        ledger::settled();
        if let Err(error) = outcome {
            self.expect(step, error);
        }
    }

    fn store(
        &self,
        call: impl FnOnce(*mut std::ffi::c_void) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let value = ledger::new_value(self.key);
        ledger::offered(value);
        call(value).inspect_err(|_| ledger::declined(value))
    }

    /// Releases; the calling thread's own value has ended then, if that was
    /// the last reference.
    fn release(&self) -> Result<(), Error> {
        keys::release(self.handle)?;
        let last = self.script.count(Step::Release) == 1
            && !self.script.has(&[Step::Visit, Step::Purge, Step::Scrape, Step::Adopt]);
        if last {
            let me = modelled::current_thread();
            let left = ledger::held(self.key, Some(me));
            ledger::expect(left == 0, || format!("thread {me} has a value after its release"));
        }
        Ok(())
    }

    /// Drains; when a dead key has nothing left, its code can go.
    fn drain(&self, milliseconds: i32) -> Result<(), Error> {
        let dead = key::live(self.handle).is_err();
        let left = wait::drain(self.handle, milliseconds)?;
        let stores = [Step::Set, Step::Swap, Step::Get];
        let quiet = self
            .script
            .parts
            .iter()
            .all(|part| !part.then.iter().any(|step| stores.contains(step)));
        if dead && left == 0 {
            ledger::unload(self.key);
        } else if left == 0 && quiet {
            ledger::nobody_has_one(self.key);
        }
        Ok(())
    }

    /// Another key, in the place of the first if that is free.
    fn create(&self) -> Result<(), Error> {
        let (options, key) = ledger::new_key(self.script.rules, self.script.init);
        let handle = keys::create(&options)?;
        let value = ledger::new_value(key);
        ledger::offered(value);
        ledger::settled();
        ledger::expect(values::set(handle, value) == Ok(()), || "a new key can't be set".into());
        ledger::expect(values::get(handle) == value, || "a new key has another's value".into());
        keys::release(handle)?;
        let left = ledger::held(key, None);
        let alone = !self.script.has(&[Step::Guess]);
        ledger::expect(left == 0 || !alone, || {
            "a key's only value has outlived its release".into()
        });
        Ok(())
    }

    /// Asserts what must hold when all threads are through, and ends everything.
    fn finish<M: Machine>(&self, machine: &M) {
        self.expunge_each(machine);
        machine.play(Some(1));
        if self.script.count(Step::Release) == 0 {
            let released = keys::release(self.handle);
            ledger::expect(released == Ok(()), || format!("the last release: {released:?}"));
        }
        self.expunge_each(machine);
        for thread in 1..=self.script.parts.len() as u64 {
            machine.play(Some(thread));
            ledger::leaving();
            modelled::end_thread();
        }
        machine.play(Some(self.script.parts.len() as u64 + 1));
        if let Some(map) = self.map.0 {
            // SAFETY: Every thread has ended, and so has left it.
            let destroyed = unsafe { switch::destroy(map) };
            ledger::expect(destroyed == Ok(()), || format!("the map: {destroyed:?}"));
        }
        let drained = self.drain(0);
        ledger::expect(drained == Ok(()), || format!("the last drain: {drained:?}"));
        modelled::end_thread();
        ledger::finish();
        let (left, in_use) = (stats::collect(), machine.memory_in_use());
        let none = (left.keys, left.dead_keys, left.maps) == (0, 0, 0);
        ledger::expect(none, || format!("something is left: {left:?}"));
        ledger::expect(in_use == 0, || format!("{in_use} pieces of memory are left"));
    }

    /// Every thread expunges; before and after, its stale count is exact.
    fn expunge_each<M: Machine>(&self, machine: &M) {
        let is_dead = |key: usize| key != self.key || key::live(self.handle).is_err();
        for thread in 1..=self.script.parts.len() as u64 {
            machine.play(Some(thread));
            if self.map.0.is_none() {
                let (count, right) = (stale::stale_count(), ledger::stale(thread, is_dead));
                let part = &self.script.parts[thread as usize - 1];
                let told = ledger::was_told(thread) || !part.before.contains(&Step::Notice);
                ledger::expect(count == right, || {
                    format!("thread {thread} counts {count} stale values, and {right} are")
                });
                ledger::expect(told || count == 0, || "nobody was told of stale values".into());
                let ended = stale::expunge();
                ledger::expect(ended == right, || format!("{ended} of {right} were expunged"));
            }
            let count = stale::stale_count();
            let left = count == 0 || self.map.0.is_some();
            ledger::expect(left, || format!("{count} stale values are left"));
        }
    }
}
