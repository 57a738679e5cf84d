// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the loops of `hot_loop.cpp` look a value up without a call.
//!
//! A loop is what a conditional jump backwards spans. The one that matters reads
//! the thread's hot slot, and %fs leads to that. (What a miss does stands outside
//! of it.) Each function `loop_*` must have such a loop, and no call in it.

/// Functions of `hot_loop.cpp`.
const FUNCTIONS: usize = 4;

struct Function<'a> {
    name: &'a str,
    /// Address and instruction.
    code: Vec<(u64, &'a str)>,
}

/// The functions `loop_*` of a disassembly.
fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found: Vec<Function> = Vec::new();
    let mut inside = false;
    for line in code.lines() {
        if let Some(name) = line.split_once(" <").and_then(|(_, rest)| rest.strip_suffix(">:")) {
            // A part that gcc has moved away, as it is never hot, has a point in its name.
            inside = name.starts_with("loop_") && !name.contains('.');
            if inside {
                found.push(Function { name, code: Vec::new() });
            }
        } else if let (true, Some((at, text))) = (inside, line.trim().split_once(':')) {
            if let Ok(at) = u64::from_str_radix(at, 16) {
                found.last_mut().expect("one has begun").code.push((at, text.trim()));
            }
        }
    }
    found
}

/// Where a conditional jump goes to.
fn target(instruction: &str) -> Option<u64> {
    let mut words = instruction.split_whitespace();
    words.next().filter(|word| word.starts_with('j') && !word.starts_with("jmp"))?;
    u64::from_str_radix(words.next()?, 16).ok()
}

/// What is wrong with the loops of a disassembly.
pub(crate) fn faults(code: &str) -> Vec<String> {
    let functions = functions(code);
    let mut faults = Vec::new();
    if functions.len() != FUNCTIONS {
        faults.push(format!("{} functions loop_*, not {FUNCTIONS}", functions.len()));
    }
    for Function { name, code } in functions {
        let backwards = code.iter().filter_map(|(from, text)| {
            let to = target(text).filter(|to| to <= from)?;
            Some((to, *from))
        });
        let bodies: Vec<Vec<&str>> = backwards
            .map(|(first, last)| {
                let body = code.iter().filter(|(at, _)| (first..=last).contains(at));
                body.map(|(_, text)| *text).collect()
            })
            .filter(|body: &Vec<&str>| body.iter().any(|text| text.contains("%fs:")))
            .collect();
        if bodies.is_empty() {
            faults.push(format!("no loop of {name} has the inlined look-up"));
        }
        if bodies.iter().flatten().any(|text| text.contains("call")) {
            faults.push(format!("a call in the loop of {name}"));
        }
    }
    faults
}
