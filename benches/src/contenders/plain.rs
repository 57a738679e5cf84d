// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels that need no keys: the empty loop, and a `__thread` variable.

use super::Contender;
use crate::kernels::{Input, Kernel};
use crate::{library, Fallible};

/// A kernel over `count` numbers that are no keys.
pub struct Plain {
    name: &'static str,
    kernel: Kernel,
    numbers: Vec<u64>,
}

impl Plain {
    pub fn new(name: &'static str, kernel: Kernel, count: usize) -> Plain {
        Plain { name, kernel, numbers: (1..=count as u64).collect() }
    }
}

impl Contender for Plain {
    fn name(&self) -> &str {
        self.name
    }

    fn granule(&self) -> u64 {
        self.numbers.len() as u64
    }

    fn prepare(&mut self) -> Fallible<()> {
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        let input = Input::over(&self.numbers, library::two_values());
        self.kernel.run(placement, &input, operations);
    }

    fn finish(&mut self) -> Fallible<()> {
        Ok(())
    }
}
