// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library's own operations, through the C kernels.

use std::ffi::c_void;

use super::{shuffle, Contender, Order, Point, CHURN};
use crate::kernels::{Input, Kernel};
use crate::{library, Fallible};

/// A kernel that works on some live keys, each with a value on this thread.
pub struct Ours {
    name: &'static str,
    kernel: Kernel,
    count: usize,
    order: Order,
    granule: u64,
    inherited: bool,
    line: Option<&'static str>,
    values: [*mut c_void; 2],
    /// The keys in the order of the loop.
    keys: Vec<u64>,
    /// The same keys in the order of their creation. They are released in this
    /// order, so that the next row's keys again follow one another.
    created: Vec<u64>,
}

impl Ours {
    /// Makes `count` live keys. A kernel that makes its own keys needs none.
    pub fn new(name: &'static str, kernel: Kernel, count: usize) -> Ours {
        Ours {
            name,
            kernel,
            count,
            order: Order::Created,
            granule: count.max(1) as u64,
            inherited: false,
            line: None,
            values: library::two_values(),
            keys: Vec::new(),
            created: Vec::new(),
        }
    }

    /// Adds the contender to the chart of the cost by the number of threads.
    pub fn drawn(self, line: &'static str) -> Ours {
        Ours { line: Some(line), ..self }
    }

    pub fn shuffled(self) -> Ours {
        Ours { order: Order::Shuffled, ..self }
    }

    pub fn scattered(self) -> Ours {
        Ours { order: Order::Scattered, ..self }
    }

    /// The keys have values that a context captures.
    pub fn inherited(self) -> Ours {
        Ours { inherited: true, ..self }
    }

    /// For a kernel that stores two values in turn.
    pub fn storing(self) -> Ours {
        Ours { granule: 2, ..self }
    }
}

impl Contender for Ours {
    fn name(&self) -> &str {
        self.name
    }

    fn granule(&self) -> u64 {
        self.granule
    }

    fn point(&self) -> Option<Point> {
        self.line.map(|line| Point { line: line.to_string(), threads: 0, times: 1 })
    }

    fn prepare(&mut self) -> Fallible<()> {
        let churn = if self.order == Order::Scattered { CHURN } else { 1 };
        for _ in 0..self.count * churn {
            let key = match self.inherited {
                true => library::create_inherited()?,
                false => library::create()?,
            };
            self.created.push(key);
        }
        self.keys.clone_from(&self.created);
        if self.order == Order::Scattered {
            shuffle(&mut self.keys);
            self.keys.truncate(self.count);
        }
        for &key in &self.keys {
            // The second value, so that the first store of a kernel changes the value.
            library::set(key, self.values[1])?;
        }
        self.order.apply(&mut self.keys);
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        let input = Input::over(&self.keys, self.values);
        self.kernel.run(placement, &input, operations);
    }

    fn finish(&mut self) -> Fallible<()> {
        self.keys.clear();
        for key in self.created.drain(..) {
            library::release(key)?;
        }
        library::detach()
    }
}
