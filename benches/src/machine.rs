// SPDX-License-Identifier: MIT OR Apache-2.0
//! Describes the machine of the run.

use std::ffi::CStr;
use std::fs;

use serde::Serialize;

use crate::library;

#[derive(Serialize, Default)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub libc: String,
    pub compiler: String,
    pub rustc: &'static str,
    pub library: String,
    /// The load average of the minute before the run. If it is not much smaller than
    /// the number of cores, other processes disturbed the run.
    pub load: String,
}

impl Machine {
    pub fn look() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| {
                Some(
                    line.strip_prefix("model name")?
                        .trim_start_matches([' ', '\t', ':'])
                        .to_string(),
                )
            })
            .unwrap_or_else(|| std::env::consts::ARCH.to_string());
        Machine {
            processor,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_string(),
            libc: libc_version(),
            compiler: env!("BENCH_COMPILER").to_string(),
            rustc: env!("BENCH_RUSTC"),
            library: library::version(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_string(),
        }
    }
}

#[cfg(target_env = "gnu")]
fn libc_version() -> String {
    // SAFETY: returns a static string.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy())
}

#[cfg(not(target_env = "gnu"))]
fn libc_version() -> String {
    let _: Option<&CStr> = None;
    "not glibc".to_string()
}
