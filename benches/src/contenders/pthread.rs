// SPDX-License-Identifier: MIT OR Apache-2.0
//! pthread keys.

use std::ffi::c_void;

use super::{Contender, Order};
use crate::kernels::{Input, Kernel};
use crate::{library, Fallible};

/// A kernel that works on some pthread keys, each with a value on this thread.
pub struct Pthread {
    name: &'static str,
    kernel: Kernel,
    count: usize,
    order: Order,
    granule: u64,
    values: [*mut c_void; 2],
    keys: Vec<u64>,
}

impl Pthread {
    /// Makes `count` keys; glibc has 1024 for each process. The first 32 are faster than the others.
    pub fn new(name: &'static str, kernel: Kernel, count: usize) -> Pthread {
        Pthread {
            name,
            kernel,
            count,
            order: Order::Created,
            granule: count.max(1) as u64,
            values: library::two_values(),
            keys: Vec::new(),
        }
    }

    pub fn shuffled(self) -> Pthread {
        Pthread { order: Order::Shuffled, ..self }
    }
}

impl Contender for Pthread {
    fn name(&self) -> &str {
        self.name
    }

    fn granule(&self) -> u64 {
        self.granule
    }

    fn prepare(&mut self) -> Fallible<()> {
        for _ in 0..self.count {
            let mut key = 0;
            // SAFETY: no destructor; the value is never used as an address.
            let (made, stored) = unsafe {
                let made = libc::pthread_key_create(&mut key, None);
                (made, libc::pthread_setspecific(key, self.values[1]))
            };
            if made != 0 || stored != 0 {
                return Err(format!(
                    "pthread key {} of {}: error {made}/{stored}",
                    self.keys.len() + 1,
                    self.count
                ));
            }
            self.keys.push(key.into());
        }
        self.order.apply(&mut self.keys);
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        let input = Input::over(&self.keys, self.values);
        self.kernel.run(placement, &input, operations);
    }

    fn finish(&mut self) -> Fallible<()> {
        for key in self.keys.drain(..) {
            // SAFETY: `prepare` made this key, and nothing uses it now.
            let deleted = unsafe { libc::pthread_key_delete(key as libc::pthread_key_t) };
            if deleted != 0 {
                return Err(format!("pthread_key_delete: error {deleted}"));
            }
        }
        Ok(())
    }
}
