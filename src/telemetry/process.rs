//! What the kernel says about this process, read from `/proc` at each scrape.

use std::fs;

/// Clock ticks per second in `/proc/*/stat`: the kernel shows user space 100, whatever its own rate is.
const TICKS_PER_SECOND: f64 = 100.0;

/// `/proc/self/status` speaks of kB and means KiB.
const KIB: f64 = 1024.0;

/// Figures of this process; `None` where there is no `/proc` or it may not be read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ProcessFigures {
    pub(super) resident_bytes: Option<f64>,
    pub(super) virtual_bytes: Option<f64>,
    pub(super) open_fds: Option<f64>,
    pub(super) max_fds: Option<f64>,
    pub(super) threads: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) start_seconds: Option<f64>,
}

impl ProcessFigures {
    pub(super) fn read() -> Self {
        let file = |path: &str| fs::read_to_string(path).ok();
        let ticks = file("/proc/self/stat").as_deref().and_then(ticks);
        let boot = file("/proc/stat").as_deref().and_then(boot_time);
        let status = file("/proc/self/status").unwrap_or_default();
        Self {
            resident_bytes: resident(&status),
            virtual_bytes: kib(&status, "VmSize:"),
            threads: figure(&status, "Threads:").and_then(|figure| figure.parse().ok()),
            max_fds: file("/proc/self/limits").as_deref().and_then(most_descriptors),
            // One of them is the directory that is being read here.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|list| list.count().saturating_sub(1) as f64),
            cpu_seconds: ticks.map(|ticks| ticks.used / TICKS_PER_SECOND),
            start_seconds: boot.zip(ticks).map(|(boot, ticks)| boot + ticks.started / TICKS_PER_SECOND),
        }
    }
}

/// The memory this process has taken, in bytes; `None` where there is no `/proc` or it may not be read. In
/// `/proc/self/status` it stands in KiB; `statm` counts pages, whose size only the C library would tell.
pub fn resident_memory() -> Option<u64> {
    let bytes = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident)?;
    Some(bytes as u64)
}

/// CPU time used and the time of the start since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    used: f64,
    started: f64,
}

/// Fields 14, 15 and 22 of `/proc/self/stat` (proc_pid_stat(5)). The second field is the program's name in
/// parentheses and may hold spaces and parentheses itself, so counting starts behind the last one.
fn ticks(stat: &str) -> Option<Ticks> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    let started: f64 = fields.nth(6)?.parse().ok()?;
    Some(Ticks { used: user + system, started })
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<f64> {
    kib(status, "VmRSS:")
}

/// What stands behind a word at the start of a line.
fn figure<'s>(status: &'s str, word: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(word)).map(str::trim)
}

/// A size of `/proc/self/status`, in bytes.
fn kib(status: &str, word: &str) -> Option<f64> {
    let kib: f64 = figure(status, word)?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * KIB)
}

/// The soft limit of open files in `/proc/self/limits`; the hard one stands behind it.
fn most_descriptors(limits: &str) -> Option<f64> {
    figure(limits, "Max open files")?.split_whitespace().next()?.parse().ok()
}

/// `btime` of `/proc/stat`, in seconds since the epoch.
fn boot_time(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 9 0 123456 1 1 18446744073709551615";
        let expected = Ticks { used: 300.0, started: 123_456.0 };
        assert_eq!(ticks(stat), Some(expected));
    }

    #[test]
    fn broken_files_give_no_figure() {
        assert_eq!(ticks("42 (a) S 1"), None);
        assert_eq!(ticks(""), None);
        assert_eq!(resident("VmRSS: many kB"), None);
        assert_eq!(boot_time("cpu 1 2 3"), None);
        assert_eq!(most_descriptors("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(
            most_descriptors("Max open files            1024                 4096                 files"),
            Some(1024.0)
        );
    }

    #[test]
    fn this_process_has_plausible_figures() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes.is_some_and(|bytes| bytes > 500_000.0), "{figures:?}");
        assert!(figures.open_fds.is_some_and(|fds| fds >= 3.0), "{figures:?}");
        assert!(figures.cpu_seconds.is_some(), "{figures:?}");
        assert!(figures.max_fds > figures.open_fds && figures.virtual_bytes > figures.resident_bytes, "{figures:?}");
        assert!(figures.threads.is_some_and(|threads| (1.0..100_000.0).contains(&threads)), "{figures:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - figures.start_seconds.unwrap();
        assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
    }
}
