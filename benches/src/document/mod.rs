//! `docs/benchmarks.md`: what a run has found beside the peers, for a reader who did not see the run.
//!
//! Every figure on the page is from the run's record. What is said about a row, who wins and why, and what is
//! unfair, stands with the row (`rows::Story`).

mod bars;
mod latency;
mod sections;

use crate::compare::Record;
use crate::options::Options;
use crate::Fallible;

const HEAD: &str = "\
# Benchmarks

This page is written by `make bench`; do not edit it. [benches/README.md](../benches/README.md) tells how it is \
measured. Every figure is from one run, in which ours and the peers took turns a few milliseconds apart. \
Nanoseconds are medians of one operation, the loop included, on all sides. A ratio is ours to the peer's within one \
round, and of these the median: below 1, ours is faster. Believe the ratios; nanoseconds are another machine's tomorrow.
";

const UNFAIR: &str = "\
## What is unfair to whom

* pthread keys, C11's and GLib's have 1,024 places in all; what has more keys is measured without them. In a set, \
they destroy nothing: where a row asks for it, the caller does it by hand.
* The crate `thread_local` and std's `thread_local!` are compiled into the program with whole-program optimisation. \
A C program calls ours in a shared library, and inlines only the hit.
* A `__thread` variable and a `thread_local!` are known when the program is compiled, and there is one for each line of source.
* OpenJDK ran in a process of its own, before the others, and warmed up first: its ratio is one of two medians, not of \
rounds. Its loops compare each value that they read, and its instructions were not counted. The collector's work on other threads is \
only in the row of thread lives.
* A GPrivate is made to be static and can't be destroyed; the benchmark takes its pthread key back behind its back, or there would be none \
left for the others.
* oneTBB, the crate and Boost give no thread a way to end another thread's value while that thread works. Ours pays for \
that wherever a value is first set or a key is released.
* Debian has no folly, and RocksDB's ThreadLocalPtr is not in its headers: both are left out. The bars of a release are what folly took \
elsewhere, and say so.
";

const REPEAT: &str = "\
## To repeat it

    make bench                 # writes this page anew; some minutes, on a machine with nothing else to do
    QUICK=1 make bench         # below target/bench, to see that it works; do not believe the figures

Peers that are not installed are left out, each with a line that names the Debian package.
";

pub fn page(record: &Record, options: &Options) -> Fallible<String> {
    let mut page = String::from(HEAD);
    page += &machine(record, options);
    page += &bars::fastest(record);
    page += &bars::bars(record);
    page += &sections::sections(record);
    if let Some(path) = options.latency.as_deref().filter(|path| path.exists()) {
        page += &latency::section(path)?;
    }
    page += &proofs(record);
    page += "\n";
    page += UNFAIR;
    page += "\n";
    page += REPEAT;
    Ok(page)
}

fn machine(record: &Record, options: &Options) -> String {
    let machine = &record.machine;
    let mut lines = vec![
        ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("kernel", format!("Linux {}", machine.kernel)),
        ("C library", machine.libc.clone()),
        ("compilers", format!("{}; rustc {}", machine.compiler, machine.rustc)),
        ("this library", machine.library.clone()),
        ("load before the run", machine.load.clone()),
        ("rounds", options.rounds().to_string()),
    ];
    let peers = record.versions.iter().map(|(name, version)| format!("{name} {version}"));
    lines.push(("peers", peers.collect::<Vec<_>>().join(", ")));
    if !record.missing.is_empty() {
        let missing = record.missing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        lines.push(("not installed, left out", missing.join(", ")));
    }
    let mut text = String::from("\n## The machine\n\n| | |\n|---|---|\n");
    for (what, is) in lines {
        text += &format!("| {what} | {is} |\n");
    }
    text
}

fn proofs(record: &Record) -> String {
    let mut text = String::from(
        "\n## That the loops do their work\n\nBefore each batch of gets, the values are read with the code of \
         the loop that is timed and added up, and the run fails when the sum is wrong. And the instructions of one more operation were \
         counted, by running a copy of the process step by step:\n",
    );
    let Some(first) = record.proofs.first() else {
        return text + "\nThey could not be counted: no process could be traced there.\n";
    };
    text += &format!("an empty loop has {:.0}, a look at the key included; the one of std's has no key, and 2.\n\n| row | instructions of one operation, loop included |\n|---|---|\n", first.empty);
    for of_row in record.proofs.chunk_by(|one, other| one.row == other.row) {
        let counts =
            of_row.iter().map(|proof| format!("{} {:.1}", proof.contender, proof.instructions));
        text += &format!("| {} | {} |\n", of_row[0].row, counts.collect::<Vec<_>>().join(", "));
    }
    text
}

/// 0.56, 12.3, 176, 47,800.
fn figure(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.2}")
    } else if number < 100.0 {
        format!("{number:.1}")
    } else {
        crate::checks::grouped(number.round() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_have_three_digits_or_their_thousands_apart() {
        assert_eq!(figure(0.561), "0.56");
        assert_eq!(figure(12.34), "12.3");
        assert_eq!(figure(176.4), "176");
        assert_eq!(figure(47_800.2), "47,800");
    }
}
