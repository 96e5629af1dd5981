//! A process that was started here: pinned, in a group of its own, its output in a file, ended when it is dropped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{StageError, machine};

/// How long a process may take to end after SIGTERM, before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of a process's output is told when it fails.
const SAID: usize = 2000;

/// A running process.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts a command on some cores; the calling thread is on `back_to` afterwards. A group of its own keeps a Ctrl-C of
    /// the terminal from ending it before we do.
    ///
    /// # Errors
    /// Where it cannot be started or pinned.
    pub fn start(
        name: &str,
        mut command: Command,
        cores: &[usize],
        back_to: &[usize],
        folder: &Path,
    ) -> Result<Self, StageError> {
        let log = folder.join(format!("{name}.out"));
        let file = File::create(&log).map_err(StageError::system(format!("create {}", log.display())))?;
        let same = file.try_clone().map_err(StageError::system("copy a file handle"))?;
        command.stdin(Stdio::null()).stdout(file).stderr(same).process_group(0);
        machine::pin(cores)?;
        let process = command.spawn();
        machine::pin(back_to)?;
        let program = command.get_program().to_string_lossy().into_owned();
        let process = process.map_err(StageError::system(format!("start {program}")))?;
        Ok(Self { name: name.to_owned(), process, log })
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|status| status.is_some())
    }

    /// That it does not serve, with what it said.
    pub fn silent(&self, why: impl Into<String>) -> StageError {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SAID)..]).trim().to_owned();
        StageError::Silent { name: self.name.clone(), why: why.into(), said }
    }

    /// Asks it to end and waits until it has; after a while it is killed.
    pub fn end(&mut self) {
        self.signal(Signal::TERM);
        let start = Instant::now();
        while !self.has_ended() {
            if start.elapsed() > PATIENCE {
                self.signal(Signal::KILL);
                // Nothing outlives SIGKILL, so this ends.
                let _ = self.process.wait();
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = id {
            // It may just have ended.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.end();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn cores() -> Vec<usize> {
        machine::Cores::of_this_process().unwrap().proxy(64).to_vec()
    }

    fn shell(script: &str, folder: &Path) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Child::start("shell", command, &cores()[..1], &cores(), folder).unwrap()
    }

    fn wait_for(path: &Path) {
        let start = Instant::now();
        while !path.exists() {
            assert!(start.elapsed().as_secs() < 30, "{} does not appear", path.display());
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_is_dropped_ends_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("ready");
        let child = shell(&format!("sleep 60 & : >{}; wait", marker.display()), folder.path());
        wait_for(&marker);
        let all = machine::tree(child.id());
        assert_eq!(all.len(), 2);
        drop(child);
        let gone = |process: &u32| match fs::read_to_string(format!("/proc/{process}/stat")) {
            Err(_) => true,
            // Whoever took the orphan over has not asked for its end yet.
            Ok(stat) => stat.contains(") Z "),
        };
        let start = Instant::now();
        while !all.iter().all(gone) {
            assert!(start.elapsed().as_secs() < 30, "{all:?} still run");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn it_runs_on_its_core_and_we_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = shell("grep Cpus_allowed_list /proc/self/status", folder.path());
        while !child.has_ended() {
            thread::sleep(Duration::from_millis(1));
        }
        let error = child.silent("it ended").to_string();
        assert!(error.contains(&format!("Cpus_allowed_list:\t{}", cores()[0])), "{error}");
        assert_eq!(machine::Cores::of_this_process().unwrap().count(), cores().len());
    }
}
