// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `thread_local` crate: per-object thread locals of the Rust world.
//!
//! Its code is inlined into this program and optimised with it (one unit,
//! whole program), which is more than a C caller of ours gets.

use std::arch::asm;
use std::hint::black_box;

use thread_local::ThreadLocal;

use super::{Contender, Order};
use crate::Fallible;

/// What `USED` of `kernels/kernel.h` is in C: the result is in a register, and
/// all memory may have changed.
#[inline(always)]
fn used(result: Option<&usize>) {
    // The value itself, which the others' reads load, too.
    let word = result.map_or(0, |word| *word);
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {} */", in(reg) word, options(nostack, preserves_flags)) }
}

/// `get` over some objects that this thread has a value in.
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
        "thread_local crate"
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
