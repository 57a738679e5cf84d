//! The rows: what is measured beside what, and what is asked of it.
//!
//! To add a row, add a function to one of the modules below and a line to its
//! list. A peer of a new kind is a new contender (`crate::contenders`), or only a
//! new C kernel (`kernels/table.c`) under a contender that exists.

mod change;
mod cleanup;
mod get;
mod scale;
mod tasks;

use crate::contenders::Contender;
use crate::kernels::Kernels;

/// One of ours, and who stands beside it.
pub struct Row {
    /// For `--filter` and JSON; never changes once published.
    pub id: &'static str,
    pub work: String,
    pub us: Box<dyn Contender>,
    /// A limit on ours alone, in nanoseconds.
    pub nanoseconds: Option<f64>,
    pub peers: Vec<Peer>,
    /// Measured in every n-th round only: for what is slow to prepare.
    pub every: u32,
    /// Whether `--instructions` counts it.
    pub counted: bool,
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
            peers: Vec::new(),
            every: 1,
            counted: false,
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

pub fn all(kernels: &Kernels, scale: Scale) -> Vec<Row> {
    let mut rows = get::rows(kernels);
    rows.extend(change::rows(kernels));
    rows.extend(cleanup::rows(kernels));
    rows.extend(tasks::rows(kernels));
    rows.extend(scale::rows(kernels, scale));
    rows
}
