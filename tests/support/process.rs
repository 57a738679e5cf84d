// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running other programs.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Runs a tool to its end; its standard output. Panics with everything that
/// it said if it fails.
pub(crate) fn output_of(command: &mut Command) -> String {
    match try_output_of(command) {
        Ok(output) => output,
        Err(message) => panic!("{message}"),
    }
}

/// As [`output_of`], with a failure as an error message.
pub(crate) fn try_output_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{stdout}{stderr}", output.status))
}

/// Runs a test program to its end, its output going to the file `log`.
///
/// One that is still there after `patience` hangs: it is killed. That is a
/// guard for the one who waits, not a claim about speed, so it is generous.
pub(crate) fn run(command: &mut Command, log: &Path, patience: Duration) -> Result<(), String> {
    let status = run_for(command, log, patience);
    match status {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(report(command, &status.to_string(), log)),
        Ok(None) => Err(report(command, &format!("still running after {patience:?}"), log)),
        Err(error) => Err(format!("cannot run {command:?}: {error}")),
    }
}

fn run_for(
    command: &mut Command,
    log: &Path,
    patience: Duration,
) -> std::io::Result<Option<ExitStatus>> {
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    // A group of its own, so that a runner and what it runs end together.
    let mut child = command.process_group(0).spawn()?;
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > patience {
            let group = -libc::pid_t::try_from(child.id()).expect("process ids fit");
            // SAFETY: Plain system call; the child is not waited for yet, so
            // its number is still its own, and it leads the group.
            unsafe { libc::kill(group, libc::SIGKILL) };
            child.wait()?;
            return Ok(None);
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn report(command: &Command, what: &str, log: &Path) -> String {
    let output = fs::read(log).unwrap_or_default();
    format!("{command:?}: {what}\n{}", String::from_utf8_lossy(&output))
}
