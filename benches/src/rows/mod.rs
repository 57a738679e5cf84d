// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows: what is measured, what it is compared with, and its limits.
//!
//! To add a row, add a function to one of the modules below and a line to its
//! list. A peer of a new kind needs a new contender (`crate::contenders`), or only
//! a new C kernel (`kernels/table.c`) for an existing contender.

mod cleanup;
mod get;
mod peers_many_threads;
mod peers_one_thread;
mod scale;
mod tasks;

use crate::contenders::Contender;
use crate::kernels::Kernels;
use crate::peers::Peers;

/// One operation of this library, and the peers that it is compared with.
pub struct Row {
    /// For `--filter` and JSON. It does not change after it was published.
    pub id: &'static str,
    pub work: String,
    pub us: Box<dyn Contender>,
    /// A limit for this library's own time, in nanoseconds.
    pub nanoseconds: Option<f64>,
    /// The aim for that time.
    pub nanoseconds_aim: Option<f64>,
    pub peers: Vec<Peer>,
    /// The row is measured in every n-th round only, if it is slow to prepare.
    pub every: u32,
    /// Whether `--instructions` counts it.
    pub counted: bool,
    /// The curve of which the row is a point, and its number of threads. Rows that differ only in this
    /// number are one curve of the page's pictures.
    pub curve: Option<(&'static str, usize)>,
    /// The text of `docs/benchmarks.md` about it; without one, the page does not have the row.
    pub story: Option<Story>,
}

/// Which contender is faster, and why. This follows from how they work, not from the numbers of one
/// run.
#[derive(Clone, Copy)]
pub struct Story {
    pub section: Section,
    pub why: &'static str,
    /// The unequal conditions; may be empty.
    pub unfair: &'static str,
}

/// A contender that this library is compared with, and the limits of the ratio.
pub struct Peer {
    pub contender: Box<dyn Contender>,
    /// The limit that the ratio must not exceed.
    pub bar: Option<f64>,
    /// The goal for later versions.
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

    /// Adds a peer with a bar, and perhaps an aim, for the ratio.
    pub fn against(
        mut self,
        contender: impl Contender + 'static,
        bar: f64,
        aim: Option<f64>,
    ) -> Row {
        self.peers.push(Peer { contender: Box::new(contender), bar: Some(bar), aim });
        self
    }

    /// Adds a peer without a bar, for information.
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

    /// Makes the row a point of a curve over the number of threads.
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

    /// This library first, then the peers.
    pub fn contenders_mut<'a>(
        &'a mut self,
    ) -> impl Iterator<Item = &'a mut (dyn Contender + 'static)> {
        std::iter::once(&mut *self.us).chain(self.peers.iter_mut().map(|peer| &mut *peer.contender))
    }

    /// This library first, then the peers.
    pub fn contenders(&self) -> impl Iterator<Item = &dyn Contender> {
        std::iter::once(&*self.us).chain(self.peers.iter().map(|peer| &*peer.contender))
    }
}

/// A section of the page: its rows are in one picture.
#[derive(Clone, Copy)]
pub struct Section {
    pub title: &'static str,
    /// The name of its file, without the extension.
    pub picture: &'static str,
}

/// How many "very many" are.
#[derive(Clone, Copy)]
pub struct Scale {
    /// A tenth of the full number, to test that everything works.
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
