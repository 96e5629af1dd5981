//! What the kernel knows: CPU time and memory of a process and all that it started, cores, and what machine this is.

use std::fs;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

use super::StageError;

/// CPU time, in seconds. The kernel counts in ticks (mostly 10 ms).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cpu {
    /// In the program itself.
    pub user: f64,
    /// In the kernel for it.
    pub system: f64,
}

impl Cpu {
    /// Both.
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    /// What was spent since an earlier look.
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// Resident. Pages shared by several processes of the tree count several times.
    pub resident: u64,
    /// Proportional: a page shared by several processes counts for each by its share.
    pub proportional: u64,
}

/// The process and everything it started that still runs.
pub fn tree(root: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?.parent)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, its)| *its == parent).map(|(process, _)| *process));
        next += 1;
    }
    found
}

/// What a tree of processes has spent so far.
pub fn cpu(root: u32) -> Cpu {
    let ticks = clock_ticks_per_second() as f64;
    tree(root).into_iter().filter_map(stat).fold(Cpu::default(), |sum, one| Cpu {
        user: sum.user + one.user as f64 / ticks,
        system: sum.system + one.system as f64 / ticks,
    })
}

/// What this process has spent so far, without what it started.
pub fn own_cpu() -> Cpu {
    let ticks = clock_ticks_per_second() as f64;
    let own = stat(std::process::id());
    own.map_or(Cpu::default(), |own| Cpu { user: own.user as f64 / ticks, system: own.system as f64 / ticks })
}

/// What a tree of processes had of the cores.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ran {
    /// How long it ran, in seconds, to the nanosecond.
    pub seconds: f64,
    /// How often a thread of it was put on a core.
    pub times: u64,
}

/// What a tree of processes has run so far: the first and the third word of each thread's `/proc/PID/task/TID/schedstat`
/// (Documentation/scheduler/sched-stats.rst of the kernel).
pub fn ran(root: u32) -> Ran {
    let threads = |process| fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tree(root).into_iter().flat_map(threads).fold(Ran::default(), |sum, thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let word = |at| text.split_whitespace().nth(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        Ran { seconds: sum.seconds + word(0) as f64 / 1e9, times: sum.times + word(2) }
    })
}

struct Stat {
    parent: u32,
    user: u64,
    system: u64,
}

/// Fields 4, 14 and 15 of `/proc/PID/stat` (proc_pid_stat(5)); the name before them may hold spaces.
fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        user: fields.get(11)?.parse().ok()?,
        system: fields.get(12)?.parse().ok()?,
    })
}

/// What a tree of processes holds now.
pub fn memory(root: u32) -> Memory {
    tree(root).into_iter().fold(Memory::default(), |sum, process| {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
        Memory {
            resident: sum.resident + kibibytes(&text, "Rss:") * 1024,
            proportional: sum.proportional + kibibytes(&text, "Pss:") * 1024,
        }
    })
}

fn kibibytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The cores that proxies and load get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    all: Vec<usize>,
}

impl Cores {
    /// Those this process may use.
    ///
    /// # Errors
    /// With fewer than two.
    pub fn of_this_process() -> Result<Self, StageError> {
        let set = sched_getaffinity(None).map_err(|e| StageError::system("ask for the cores")(e.into()))?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
        if all.len() < 2 {
            return Err(StageError::Cores { cores: all.len() });
        }
        Ok(Self { all })
    }

    /// The cores of a proxy with so many workers: the first one, and others from the front.
    pub fn proxy(&self, workers: usize) -> &[usize] {
        &self.all[..workers.clamp(1, self.all.len())]
    }

    /// The core of load and origins: the last one.
    pub fn load(&self) -> &[usize] {
        &self.all[self.all.len() - 1..]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }
}

/// Pins the calling thread; what it starts from now on inherits that.
///
/// # Errors
/// Where the kernel refuses.
pub fn pin(cores: &[usize]) -> Result<(), StageError> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).map_err(|e| StageError::system(format!("pin to cores {cores:?}"))(e.into()))
}

/// Open files that are enough for ten thousand connections, which have two ends in a proxy.
const FILES: u64 = 65_536;

/// Raises the limit of open files as far as is allowed; who is root may go beyond what was given.
pub fn open_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: Some(FILES), maximum: limit.maximum.map(|most| most.max(FILES)) };
    let allowed = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Whoever can raise nothing gets told by the connection that does not open.
    let _ = setrlimit(Resource::Nofile, wanted).or_else(|_| setrlimit(Resource::Nofile, allowed));
}

/// What a result was measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it names itself.
    pub processor: String,
    /// Cores this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn this(cores: &Cores) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        Self {
            processor: processor.trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: cores.count(),
            memory_mib: kibibytes(&read("/proc/meminfo"), "MemTotal:") / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_tree_has_the_children_of_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo ready; wait"]).stdout(std::process::Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.as_mut().unwrap()), &mut line).unwrap();
        let found = tree(shell.id());
        for process in found.iter().rev() {
            let pid = rustix::process::Pid::from_raw((*process).try_into().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn cpu_that_was_spent_is_seen() {
        let before = cpu(std::process::id());
        let start = std::time::Instant::now();
        let mut sum = 0_u64;
        while cpu(std::process::id()).since(before).total() < 0.05 {
            sum = std::hint::black_box(sum.wrapping_add(1));
            assert!(start.elapsed().as_secs() < 60, "no CPU time was seen");
        }
    }

    #[test]
    fn what_runs_and_sleeps_is_counted_finely() {
        let before = ran(std::process::id());
        std::thread::sleep(std::time::Duration::from_millis(1));
        let after = ran(std::process::id());
        assert!(after.seconds > before.seconds && after.times > before.times, "{before:?} {after:?}");
    }

    #[test]
    fn memory_that_is_held_is_seen() {
        let before = memory(std::process::id());
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = memory(std::process::id());
        assert!(after.resident > before.resident + (32 << 20), "{before:?} {after:?}");
        assert!(after.proportional > before.proportional + (32 << 20), "{before:?} {after:?}");
        drop(held);
    }
}
