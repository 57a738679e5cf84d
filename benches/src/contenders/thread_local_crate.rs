// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Rust crate `thread_local`, which has thread-locals for each object.
//!
//! Its code is compiled into this program with whole-program optimisation, which a
//! C program does not get for this library.

use std::arch::asm;
use std::hint::black_box;

use thread_local::ThreadLocal;

use super::{Contender, Order};
use crate::Fallible;

/// The same as `USED` of `kernels/kernel.h` in C: the result is in a register, and
/// all memory may have changed.
#[inline(always)]
fn used(result: Option<&usize>) {
    // Loads the value itself, as the reads of the other contenders do.
    let word = result.map_or(0, |word| *word);
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {} */", in(reg) word, options(nostack, preserves_flags)) }
}

/// Gets from some objects in which this thread has a value.
pub struct CrateGet {
    objects: Vec<ThreadLocal<usize>>,
    count: usize,
    order: Order,
}

impl CrateGet {
    pub fn new(count: usize) -> CrateGet {
        CrateGet { objects: Vec::new(), count, order: Order::Created }
    }

    pub fn shuffled(self) -> CrateGet {
        CrateGet { order: Order::Shuffled, ..self }
    }
}

impl Contender for CrateGet {
    fn name(&self) -> &str {
        "crate thread_local"
    }

    fn granule(&self) -> u64 {
        self.count as u64
    }

    fn prepare(&mut self) -> Fallible<()> {
        for value in 0..self.count {
            let object = ThreadLocal::new();
            object.get_or(|| value);
            self.objects.push(object);
        }
        self.order.apply(&mut self.objects);
        Ok(())
    }

    fn run(&mut self, _placement: usize, operations: u64) {
        let objects = black_box(self.objects.as_slice());
        if let [only] = objects {
            for _ in 0..operations {
                used(only.get());
            }
            return;
        }
        for _ in 0..operations / objects.len() as u64 {
            for object in objects {
                used(object.get());
            }
        }
    }

    fn finish(&mut self) -> Fallible<()> {
        self.objects.clear();
        Ok(())
    }
}
