//! Real-time priority for what is measured, so that nothing else of the machine stands in its delays.
//!
//! A daemon that takes a core for a few milliseconds once a second is half a percent of the time, and what has piled up
//! meanwhile the other half: it alone makes the 99th percentile of whoever had his turn just then.

use std::process::{Command, Stdio};

use super::machine::tree;

/// While it is there, processes come before all that have no real-time priority (`SCHED_FIFO` of sched(7), at its lowest).
#[derive(Debug)]
pub struct Precedence {
    processes: Vec<u32>,
}

impl Precedence {
    /// For this process and the trees of others; nothing where the kernel refuses, or `chrt` of util-linux is missing.
    pub fn take(roots: impl IntoIterator<Item = u32>) -> Option<Self> {
        let processes: Vec<u32> = roots.into_iter().flat_map(tree).chain([std::process::id()]).collect();
        // What was done so far is undone when this is dropped.
        let taken = Self { processes };
        taken.processes.iter().all(|process| set("--fifo", 1, *process)).then_some(taken)
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        // It may have ended, and giving up a priority is always allowed.
        self.processes.iter().for_each(|process| {
            set("--other", 0, *process);
        });
    }
}

fn set(class: &str, priority: u32, process: u32) -> bool {
    let mut command = Command::new("chrt");
    command.args([class, "--all-tasks", "--pid", &priority.to_string(), &process.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    /// Field 41 of `/proc/PID/stat` (proc_pid_stat(5)): 0 is `SCHED_OTHER`, 1 `SCHED_FIFO`.
    fn policy(process: u32) -> String {
        let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        text.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(38).unwrap().to_owned()
    }

    #[test]
    fn it_is_given_back_with_what_was_taken_of_it() {
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let taken = Precedence::take([other.id()]);
        let wanted = if taken.is_some() { "1" } else { "0" };
        assert_eq!(policy(other.id()), wanted, "only root may");
        drop(taken);
        assert_eq!(policy(other.id()), "0");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn without_permission_there_is_none() {
        assert!(Precedence::take([u32::MAX]).is_none());
    }
}
