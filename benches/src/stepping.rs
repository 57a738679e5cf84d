// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proves that a timed loop does its work: counts the instructions of one more operation, in the same
//! run.
//!
//! A copy of the process runs the loop one instruction at a time (`ptrace`), with N operations and
//! with 2 N. If the compiler had removed the read from the loop, it would have no more instructions
//! than an empty loop. This needs neither hardware counters nor valgrind. The values that are read
//! are also checked, by a sum before each batch (`contenders::OneThread`).

use std::ffi::c_int;
use std::hint::black_box;
use std::ptr;

use serde::Serialize;

use crate::contenders::Contender;
use crate::rows::Row;
use crate::Fallible;

/// The number of operations; more, if the loop cannot run so few.
const OPERATIONS: u64 = 20;

/// The rows that are counted, and the row that has the empty loops.
const ROWS: [&str; 2] = ["get-1", "get-100"];
const EMPTY: &str = "loop";

/// An empty loop without a key: a subtraction and a jump.
const COUNTING: f64 = 2.0;

#[derive(Serialize)]
pub struct Proof {
    pub row: &'static str,
    pub contender: String,
    /// Of one operation, with the loop.
    pub instructions: f64,
    /// Of an empty loop.
    pub empty: f64,
}

/// Returns `None` if the system does not let a process trace a copy of itself.
pub fn proofs(rows: &mut [Row]) -> Fallible<Option<Vec<Proof>>> {
    let Some(row) = rows.iter_mut().find(|row| row.id == EMPTY) else {
        return Ok(Some(Vec::new()));
    };
    let Some(empty) = instructions(&mut *row.us)? else {
        return Ok(None);
    };
    let mut proofs = Vec::new();
    for row in rows.iter_mut().filter(|row| ROWS.contains(&row.id)) {
        let id = row.id;
        for contender in row.contenders_mut() {
            let Some(instructions) = instructions(contender)? else {
                return Ok(None);
            };
            // The loops in C read a key each time; the loop of std has no key, and counts down.
            let floor = if contender.id() == "std" { COUNTING } else { empty };
            let contender = contender.name().to_string();
            // The load of the value is at least one more instruction than the empty loop has.
            if instructions < floor + 0.9 {
                return Err(format!(
                    "{id}, {contender}: an operation has {instructions} instructions, and an empty loop has {floor}, \
                     so the loop does not read"
                ));
            }
            proofs.push(Proof { row: id, contender, instructions, empty: floor });
        }
    }
    Ok(Some(proofs))
}

/// Instructions of one operation.
fn instructions(contender: &mut dyn Contender) -> Fallible<Option<f64>> {
    let operations = OPERATIONS.next_multiple_of(contender.granule());
    contender.prepare()?;
    // The first run does what happens only once.
    contender.run(0, operations);
    // SAFETY: the child calls nothing but the loop, which needs no other thread, and _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: no precondition.
        if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } == 0 {
            // Computed here, so that everything except the loop is the same for both runs.
            let (once, twice) = black_box((operations, 2 * operations));
            pause();
            contender.run(0, once);
            pause();
            contender.run(0, twice);
            pause();
        }
        // SAFETY: no precondition.
        unsafe { libc::_exit(0) }
    }
    let counted = (child > 0).then(|| watched(child)).flatten();
    contender.finish()?;
    Ok(counted.map(|(once, twice)| (twice as f64 - once as f64) / operations as f64))
}

fn pause() {
    // SAFETY: the parent waits for it.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// The instructions of the child's first and of its second run.
fn watched(child: libc::pid_t) -> Option<(u64, u64)> {
    let stopped = signal_of_stop(child) == Some(libc::SIGSTOP);
    let counts = stopped.then(|| Some((until_pause(child)?, until_pause(child)?))).flatten();
    // SAFETY: this process has started the child, and waits for it here if it has not yet.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, ptr::null_mut(), 0);
    }
    counts
}

fn until_pause(child: libc::pid_t) -> Option<u64> {
    let mut count = 0;
    loop {
        // SAFETY: the child is stopped, and is traced by this process.
        if unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, child, 0, 0) } != 0 {
            return None;
        }
        count += 1;
        match signal_of_stop(child)? {
            libc::SIGTRAP => {}
            libc::SIGSTOP => return Some(count),
            _ => return None,
        }
    }
}

fn signal_of_stop(child: libc::pid_t) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: the status has a place.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    (waited == child && libc::WIFSTOPPED(status)).then(|| libc::WSTOPSIG(status))
}

#[cfg(test)]
mod tests {
    use super::instructions;
    use crate::contenders::Contender;
    use crate::Fallible;
    use std::hint::black_box;

    /// A loop that does `work` additions for each operation.
    struct Additions(u64);

    impl Contender for Additions {
        fn name(&self) -> &str {
            ""
        }
        fn prepare(&mut self) -> Fallible<()> {
            Ok(())
        }
        fn run(&mut self, _placement: usize, operations: u64) {
            for done in 0..operations * self.0 {
                black_box(done);
            }
        }
        fn finish(&mut self) -> Fallible<()> {
            Ok(())
        }
    }

    #[test]
    fn ten_times_the_work_is_ten_times_the_instructions() {
        let count = |work| instructions(&mut Additions(work)).unwrap();
        let (Some(one), Some(ten)) = (count(1), count(10)) else {
            eprintln!("SKIPPED: no process may be traced here");
            return;
        };
        assert!(one > 0.0);
        assert_eq!(ten, 10.0 * one);
    }
}
