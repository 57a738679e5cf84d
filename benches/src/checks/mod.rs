// SPDX-License-Identifier: MIT OR Apache-2.0
//! Properties that are tested and not timed: the state of the library with very many
//! threads, keys or values, and what is left afterwards.

mod many;
mod memory;
mod two_million;

use std::thread;
use std::time::{Duration, Instant};

use crate::rows::Scale;
use crate::Fallible;

pub struct Check {
    pub id: &'static str,
    pub work: String,
    pub bar: &'static str,
    /// Whether the check runs before everything else, because a used heap would change
    /// its result.
    pub first: bool,
    /// The argument of the check: how many keys or threads.
    size: usize,
    /// Returns the result for the table, or what was wrong.
    check: fn(usize) -> Fallible<String>,
}

pub fn all(scale: Scale) -> Vec<Check> {
    let mut checks = Vec::from(memory::checks());
    checks.extend(many::checks(scale));
    checks.extend(two_million::checks(scale));
    checks
}

impl Check {
    /// Runs the check on a new thread, which is not attached.
    pub fn check(&self) -> (Fallible<String>, Duration) {
        let (check, size) = (self.check, self.size);
        let start = Instant::now();
        let found = thread::spawn(move || check(size))
            .join()
            .unwrap_or_else(|_| Err("the check panicked".into()));
        (found, start.elapsed())
    }
}

/// 2000000 as "2,000,000".
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(2_000_000), "2,000,000");
    }
}
