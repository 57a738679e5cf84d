// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stale counts: exact in every thread as soon as a release has returned.
//!
//! Workers obey commands, one at a time, and answer each; the channel
//! is what orders a release before the look at another thread's count.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;

use crate::api;
use crate::ledger::{Key, Page};
use crate::{set_fresh, Random};

/// A command to a worker; it answers each with a number.
enum Command {
    /// Store a new value under each. Answers how many it has stored.
    Set(Vec<Key>),
    /// Release. Answers how many.
    Release(Vec<Key>),
    StaleCount,
    Expunge,
    ExpungeSome(usize),
}

/// A thread that obeys commands, and what must be in its map.
struct Worker {
    commands: Sender<Command>,
    answers: Receiver<usize>,
    live: BTreeSet<Key>,
    stale: usize,
}

impl Worker {
    fn ask(&self, command: Command) -> usize {
        self.commands.send(command).expect("the worker lives");
        self.answers.recv().expect("the worker lives")
    }
}

fn obey(commands: &Receiver<Command>, answers: &Sender<usize>) {
    for command in commands {
        let answer = match command {
            Command::Set(chosen) => {
                chosen.iter().for_each(|key| assert_eq!(set_fresh(*key), Ok(())));
                chosen.len()
            }
            Command::Release(chosen) => {
                let release = |key: &Key| assert_eq!(api::release(key.handle), Ok(()));
                chosen.iter().for_each(release);
                chosen.len()
            }
            Command::StaleCount => api::stale_count(),
            Command::Expunge => api::expunge(),
            Command::ExpungeSome(budget) => api::expunge_some(budget),
        };
        answers.send(answer).expect("the test waits for it");
    }
}

/// Takes a random part of `of` away.
fn draw(random: &mut Random, of: &mut Vec<Key>) -> Vec<Key> {
    let (drawn, rest) = of.iter().partition(|_| random.below(3) == 0);
    *of = rest;
    drawn
}

/// The keys have died; `releaser`'s own values, if it is a worker, at once.
fn note_deaths(workers: &mut [Worker], dead: &[Key], releaser: Option<usize>) {
    for (number, worker) in workers.iter_mut().enumerate() {
        let gone = dead.iter().filter(|key| worker.live.remove(key)).count();
        worker.stale += if releaser == Some(number) { 0 } else { gone };
    }
}

fn assert_stale_counts(workers: &[Worker]) {
    for worker in workers {
        assert_eq!(worker.ask(Command::StaleCount), worker.stale);
    }
}

#[test]
fn stale_counts_are_exact_when_a_release_has_returned() {
    const WORKERS: usize = 3;
    const ROUNDS: usize = 600;
    let page = Page::open();
    thread::scope(|scope| {
        let mut random = Random(7);
        let mut threads = Vec::new();
        let mut workers: Vec<Worker> = (0..WORKERS)
            .map(|_| {
                let (commands, orders) = channel();
                let (replies, answers) = channel();
                threads.push(scope.spawn(move || obey(&orders, &replies)));
                Worker { commands, answers, live: BTreeSet::new(), stale: 0 }
            })
            .collect();
        for _ in 0..ROUNDS {
            let mut alive: Vec<Key> = (0..1 + random.below(30)).map(|_| Key::create()).collect();
            for worker in &mut workers {
                let chosen: Vec<Key> =
                    alive.iter().filter(|_| random.below(2) == 0).copied().collect();
                assert_eq!(worker.ask(Command::Set(chosen.clone())), chosen.len());
                worker.live.extend(chosen);
            }
            // Released by a thread that has no values, and then by a holder.
            let first = draw(&mut random, &mut alive);
            for key in &first {
                assert_eq!(api::release(key.handle), Ok(()));
            }
            note_deaths(&mut workers, &first, None);
            assert_stale_counts(&workers);
            let releaser = random.below(WORKERS);
            let second = draw(&mut random, &mut alive);
            assert_eq!(workers[releaser].ask(Command::Release(second.clone())), second.len());
            note_deaths(&mut workers, &second, Some(releaser));
            assert_stale_counts(&workers);

            for worker in &mut workers {
                let budget = random.below(6);
                let ended = worker.ask(Command::ExpungeSome(budget));
                assert_eq!(ended, budget.min(worker.stale));
                worker.stale -= ended;
            }
            assert_stale_counts(&workers);
            // Some die while others of the same map are stale already.
            alive.iter().for_each(|key| assert_eq!(api::release(key.handle), Ok(())));
            note_deaths(&mut workers, &alive, None);
            assert_stale_counts(&workers);
            for worker in &mut workers {
                assert_eq!(worker.ask(Command::Expunge), std::mem::take(&mut worker.stale));
            }
            assert_stale_counts(&workers);
        }
        drop(workers);
        for thread in threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    page.assert_balanced();
}
