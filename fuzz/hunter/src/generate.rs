// SPDX-License-Identifier: MIT OR Apache-2.0
//! Inputs, made by chance.
//!
//! Bytes that are drawn evenly make programs in which nothing meets anything:
//! most operations fail, most callbacks do nothing. So records are drawn with
//! weights: a few keys with many properties, short threads, short bodies, many
//! sets and releases, a schedule that mostly stays. New inputs are also made of
//! old ones, by changing, copying and dropping a few records.

use crate::program::{Without, HEADER, KEYS, OPERATIONS, RECORD, THREADS};

/// A generator of random numbers (xorshift, 64 bits).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds that are near each other must not begin alike.
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 32) as usize * end) >> 32
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 40) as u8
    }
}

/// Sizes of the programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Up to four threads, a few operations each.
    Small,
    /// Twelve to sixteen threads, forty operations each, played in a loop.
    Many,
}

/// A fresh input.
pub(crate) fn fresh(random: &mut Random, shape: Shape, without: Without) -> Vec<u8> {
    let threads = match shape {
        Shape::Small => 1 + random.below(4),
        Shape::Many => 12 + random.below(5),
    };
    let mut bytes = vec![(threads - 1) as u8, u8::from(random.once_in(8)), 0, 0];
    let keys = match shape {
        Shape::Small if random.once_in(4) => 1 + random.below(KEYS),
        Shape::Small => 1 + random.below(6),
        Shape::Many => 6 + random.below(KEYS - 6),
    };
    for _ in 0..keys {
        bytes.extend(key(random));
    }
    let each = if shape == Shape::Many { 40 } else { 3 + random.below(16) };
    // A program that uses a few kinds of operations often meets more than one
    // that uses all of them once.
    let favourites: Vec<u8> = (0..2 + random.below(6)).map(|_| code(random, without)).collect();
    for thread in 0..threads {
        let mut operation = || operation(random, thread as u8, &favourites, without);
        // What piles up needs the same again and again.
        let pattern: Vec<_> = (0..each).map(|_| operation()).collect();
        let length = if random.once_in(8) { 1 + random.below(3) } else { each };
        bytes.extend(pattern.iter().take(length).cycle().take(each).flatten());
    }
    for body in 0..8 {
        for _ in 0..random.below(5) {
            bytes.extend(operation(random, 16 + body, &favourites, without));
        }
    }
    if shape == Shape::Small {
        for _ in 0..random.below(each * 4) {
            bytes.extend(steps(random));
        }
    }
    bytes
}

fn key(random: &mut Random) -> [u8; RECORD] {
    // Most keys of a program have few properties, and most callbacks do something.
    let flags = random.byte() & if random.once_in(2) { random.byte() } else { 0xff };
    [24, flags, random.byte(), random.byte()]
}

fn steps(random: &mut Random) -> [u8; RECORD] {
    let mut step = || if random.once_in(3) { random.byte() | 1 } else { 0 };
    [28, step(), step(), step()]
}

fn code(random: &mut Random, without: Without) -> u8 {
    let all: u32 = OPERATIONS.iter().map(|(_, _, weight)| weight).sum();
    loop {
        let mut at = random.below(all as usize) as u32;
        for (code, group, weight) in OPERATIONS {
            if at < *weight {
                if without.has(*group) {
                    break;
                }
                return *code as u8;
            }
            at -= weight;
        }
    }
}

fn operation(random: &mut Random, place: u8, likely: &[u8], without: Without) -> [u8; RECORD] {
    let code =
        if random.once_in(2) { likely[random.below(likely.len())] } else { code(random, without) };
    // Low numbers are chosen more often: the same keys and bodies meet.
    let a = if random.once_in(2) { random.byte() % 4 } else { random.byte() };
    [place, code, a, random.byte()]
}

/// An input made of another one.
pub(crate) fn mutated(random: &mut Random, from: &[u8], without: Without) -> Vec<u8> {
    let mut bytes = from.to_vec();
    bytes.resize(HEADER.max(bytes.len()) / RECORD * RECORD, 0);
    for _ in 0..1 + random.below(6) {
        let records = bytes.len() / RECORD - 1;
        if records == 0 {
            bytes.extend(operation(random, 0, &[1], without));
            continue;
        }
        let at = HEADER + random.below(records) * RECORD;
        match random.below(8) {
            0 => {
                bytes.drain(at..at + RECORD);
            }
            1 => {
                let record: [u8; RECORD] = bytes[at..at + RECORD].try_into().expect("four bytes");
                let to = HEADER + random.below(records) * RECORD;
                bytes.splice(to..to, record);
            }
            2 => {
                let byte = at + 1 + random.below(3);
                bytes[byte] = random.byte();
            }
            3 => {
                let record = steps(random);
                bytes.splice(at..at, record);
            }
            4 => {
                let record = key(random);
                bytes.splice(at..at, record);
            }
            5 => {
                let place = random.byte() % 24;
                bytes[at] = place;
            }
            6 => bytes[0] = (random.below(4)) as u8 % THREADS as u8,
            _ => {
                let place = random.byte() % 24;
                let record = operation(random, place, &[1, 16], without);
                bytes.splice(at..at, record);
            }
        }
    }
    bytes
}

/// A smaller input that still fails, by dropping and simplifying records until
/// nothing more can go or `tries` are used up.
pub(crate) fn shrink(
    bytes: &[u8],
    mut tries: usize,
    mut fails: impl FnMut(&[u8]) -> bool,
) -> Vec<u8> {
    let mut best = bytes.to_vec();
    let mut try_one = |candidate: Vec<u8>, best: &mut Vec<u8>| {
        if tries == 0 || candidate == *best {
            return false;
        }
        tries -= 1;
        let failed = fails(&candidate);
        if failed {
            *best = candidate;
        }
        failed
    };
    loop {
        let before = best.clone();
        let mut size = (best.len() / RECORD).next_power_of_two();
        while size >= 1 {
            let mut at = HEADER;
            while at < best.len() {
                let end = (at + size * RECORD).min(best.len());
                let mut candidate = best.clone();
                candidate.drain(at..end);
                if !try_one(candidate, &mut best) {
                    at = end;
                }
            }
            size /= 2;
        }
        for at in 0..best.len() {
            // Where a record belongs stays, and so does its operation.
            let simpler: &[u8] = match at % RECORD {
                0 if at >= HEADER => &[],
                1 if at >= HEADER && best[at - 1] & 31 < 24 => &[0],
                _ => &[0, 1, 2, 3],
            };
            for &value in simpler {
                if value < best[at] {
                    let mut candidate = best.clone();
                    candidate[at] = value;
                    if try_one(candidate, &mut best) {
                        break;
                    }
                }
            }
        }
        if best == before {
            return best;
        }
    }
}
