// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows: what is measured beside what, and what is asked of it.
//!
//! To add a row, add a function to one of the modules below and a line to its
//! list. A peer of a new kind is a new contender (`crate::contenders`), or only a
//! new C kernel (`kernels/table.c`) under a contender that exists.

mod cleanup;
mod get;
mod peers_many_threads;
mod peers_one_thread;
mod scale;
mod tasks;

use crate::contenders::Contender;
use crate::kernels::Kernels;
use crate::peers::Peers;

/// One of ours, and who stands beside it.
pub struct Row {
    /// For `--filter` and JSON; never changes once published.
    pub id: &'static str,
    pub work: String,
    pub us: Box<dyn Contender>,
    /// A limit on ours alone, in nanoseconds.
    pub nanoseconds: Option<f64>,
    /// Where we are going with that.
    pub nanoseconds_aim: Option<f64>,
    pub peers: Vec<Peer>,
    /// Measured in every n-th round only: for what is slow to prepare.
    pub every: u32,
    /// Whether `--instructions` counts it.
    pub counted: bool,
    /// Rows that differ in a number alone, and that number: they are one curve of the page's pictures.
    pub curve: Option<(&'static str, usize)>,
    /// What `docs/benchmarks.md` says about it; without one it is not there.
    pub story: Option<Story>,
}

/// Who wins, and why: true of how things are made, not of one run's figures.
#[derive(Clone, Copy)]
pub struct Story {
    pub section: Section,
    pub why: &'static str,
    /// What is unfair to whom; may be empty.
    pub unfair: &'static str,
}

/// A contender beside ours, and what the ratio of ours to it should be.
pub struct Peer {
    pub contender: Box<dyn Contender>,
    /// Must hold.
    pub bar: Option<f64>,
    /// Where we are going.
    pub aim: Option<f64>,
}

impl Row {
    pub fn new(id: &'static str, work: impl Into<String>, us: impl Contender + 'static) -> Row {
        Row {
            id,
            work: work.into(),
            us: Box::new(us),
            nanoseconds: None,
            nanoseconds_aim: None,
            peers: Vec::new(),
            every: 1,
            counted: false,
            curve: None,
            story: None,
        }
    }

    /// A peer with a bar and an aim on the ratio.
    pub fn against(
        mut self,
        contender: impl Contender + 'static,
        bar: f64,
        aim: Option<f64>,
    ) -> Row {
        self.peers.push(Peer { contender: Box::new(contender), bar: Some(bar), aim });
        self
    }

    /// A peer for information.
    pub fn competitor(mut self, contender: impl Contender + 'static) -> Row {
        self.peers.push(Peer { contender: Box::new(contender), bar: None, aim: None });
        self
    }

    pub fn at_most(self, nanoseconds: f64) -> Row {
        Row { nanoseconds: Some(nanoseconds), ..self }
    }

    pub fn aiming(self, nanoseconds: f64) -> Row {
        Row { nanoseconds_aim: Some(nanoseconds), ..self }
    }

    /// A point of a curve over how many threads there are.
    pub fn over_threads(self, curve: &'static str, threads: usize) -> Row {
        Row { curve: Some((curve, threads)), ..self }
    }

    pub fn told(self, story: Story) -> Row {
        Row { story: Some(story), ..self }
    }

    pub fn every(self, rounds: u32) -> Row {
        Row { every: rounds, ..self }
    }

    pub fn counted(self) -> Row {
        Row { counted: true, ..self }
    }

    /// Ours first, then the peers.
    pub fn contenders_mut<'a>(
        &'a mut self,
    ) -> impl Iterator<Item = &'a mut (dyn Contender + 'static)> {
        std::iter::once(&mut *self.us).chain(self.peers.iter_mut().map(|peer| &mut *peer.contender))
    }

    /// Ours first, then the peers.
    pub fn contenders(&self) -> impl Iterator<Item = &dyn Contender> {
        std::iter::once(&*self.us).chain(self.peers.iter().map(|peer| &*peer.contender))
    }
}

/// Rows that stand together, and are drawn in one picture.
#[derive(Clone, Copy)]
pub struct Section {
    pub title: &'static str,
    /// The file's name, without its ending.
    pub picture: &'static str,
}

/// How large "very many" is.
#[derive(Clone, Copy)]
pub struct Scale {
    /// A tenth of it: to see that it works.
    pub quick: bool,
}

impl Scale {
    pub fn of(self, full: usize) -> usize {
        if self.quick {
            full / 10
        } else {
            full
        }
    }
}

pub fn all(kernels: &Kernels, peers: &Peers, scale: Scale) -> Vec<Row> {
    let mut rows = peers_one_thread::rows(peers);
    rows.extend(peers_many_threads::rows(peers, scale));
    rows.extend(get::rows(kernels));
    rows.extend(cleanup::rows(kernels));
    rows.extend(tasks::rows(kernels));
    rows.extend(scale::rows(kernels, scale));
    rows
}
