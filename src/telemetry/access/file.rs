//! A log file that is put aside when it is full.
//!
//! Nothing is opened before it is needed, and only ever on the thread of the log: opening may block (a named pipe without
//! a reader does). Whatever fails is tried again, so that a disk that has room again is written again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::outlet::Put;
use crate::config::LogFile;

/// How often a file that cannot be opened is tried at most.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Who may read a new file: its owner and the group. It tells who asked for what.
const MODE: u32 = 0o640;

/// Beyond this, no file that was put aside is looked for.
const MOST_KEPT: u32 = 100;

/// The file of one path, open or not.
pub(super) struct Rotated {
    plan: LogFile,
    file: Option<File>,
    tried: Option<Instant>,
}

impl Rotated {
    pub(super) fn new(plan: LogFile) -> Self {
        Self { plan, file: None, tried: None }
    }

    /// Lets go of the file: what comes next is written to the one that stands at the path then.
    pub(super) fn reopen(&mut self) {
        self.file = None;
        self.tried = None;
    }

    /// Appends whole lines. What of them could not be written whole is taken back.
    pub(super) fn put(&mut self, batch: &[u8]) -> Put {
        match self.ready(batch.len() as u64).and_then(|file| Ok((file.metadata()?, file))) {
            Ok((before, file)) => {
                let mut put = Put::lines(file, batch);
                if put.torn && before.is_file() {
                    // Nobody else appends but a process that takes over from this one, and only for a moment.
                    put.torn = file.set_len(before.len() + put.whole as u64).is_err();
                }
                put
            }
            Err(error) => Put { whole: 0, torn: false, error: Some(error) },
        }
    }

    /// The file, with room for so many bytes.
    fn ready(&mut self, more: u64) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        if self.is_full(more)? {
            // Another process that writes to it, while it takes over, may have put it aside already.
            if self.is_in_place() {
                self.put_aside()?;
            }
            self.reopen();
            self.file = Some(self.open()?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn open(&mut self) -> io::Result<File> {
        if self.tried.is_some_and(|tried| tried.elapsed() < TRY_EVERY) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.tried = Some(Instant::now());
        let file = OpenOptions::new().create(true).append(true).mode(MODE).open(&self.plan.path)?;
        self.tried = None;
        Ok(file)
    }

    fn is_full(&self, more: u64) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let now = file.metadata()?;
        Ok(now.is_file() && now.len() > 0 && now.len() + more > self.plan.size)
    }

    /// Whether the path still leads to the open file.
    fn is_in_place(&self) -> bool {
        let there = fs::metadata(&self.plan.path).map(|there| (there.dev(), there.ino()));
        let open = self.file.as_ref().and_then(|file| file.metadata().ok()).map(|open| (open.dev(), open.ino()));
        there.ok() == open
    }

    /// `PATH` becomes `PATH.1`, that becomes `PATH.2`; those beyond `keep` are removed.
    fn put_aside(&self) -> io::Result<()> {
        let keep = self.plan.keep;
        for number in (1..keep).rev() {
            absent_is_fine(fs::rename(self.beside(number), self.beside(number + 1)))?;
        }
        match keep {
            0 => fs::remove_file(&self.plan.path)?,
            _ => fs::rename(&self.plan.path, self.beside(1))?,
        }
        // There are some where more were kept before.
        let removed = (keep + 1..=MOST_KEPT).map(|number| fs::remove_file(self.beside(number)));
        removed.take_while(Result::is_ok).for_each(drop);
        Ok(())
    }

    fn beside(&self, number: u32) -> PathBuf {
        let mut name = self.plan.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn absent_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"0123456789\n";

    fn scene(keep: u32) -> (tempfile::TempDir, Rotated) {
        let folder = tempfile::tempdir().unwrap();
        let rotated = Rotated::new(LogFile { path: folder.path().join("a.log"), size: 40, keep });
        (folder, rotated)
    }

    fn put(rotated: &mut Rotated, bytes: &[u8]) {
        let put = rotated.put(bytes);
        assert!(put.error.is_none() && put.whole == bytes.len(), "{:?}", put.error);
    }

    fn files(folder: &tempfile::TempDir) -> Vec<(String, String)> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        };
        let mut all: Vec<_> = fs::read_dir(folder.path()).unwrap().map(entry).collect();
        all.sort();
        all
    }

    #[test]
    fn a_full_file_is_put_aside_and_only_some_are_kept() {
        let (folder, mut rotated) = scene(2);
        for number in 0..16 {
            put(&mut rotated, format!("line {number:04}\n").as_bytes());
        }
        let files = files(&folder);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.log", "a.log.1", "a.log.2"]);
        let numbers: Vec<&str> = files.iter().flat_map(|(_, text)| text.lines()).map(|line| &line[5..]).collect();
        assert_eq!(
            numbers,
            ["0012", "0013", "0014", "0015", "0008", "0009", "0010", "0011", "0004", "0005", "0006", "0007"]
        );
        assert!(files.iter().all(|(_, text)| text.len() <= 40));
    }

    #[test]
    fn fewer_are_kept_from_the_next_time_on() {
        let (folder, mut rotated) = scene(5);
        (0..30).for_each(|_| put(&mut rotated, LINE));
        assert_eq!(files(&folder).len(), 6);
        rotated.plan.keep = 1;
        (0..5).for_each(|_| put(&mut rotated, LINE));
        assert_eq!(files(&folder).len(), 2);
        rotated.plan.keep = 0;
        (0..5).for_each(|_| put(&mut rotated, LINE));
        assert_eq!(files(&folder).len(), 1);
    }

    #[test]
    fn what_was_there_counts() {
        let (folder, mut rotated) = scene(1);
        fs::write(folder.path().join("a.log"), "what an earlier process wrote, 39 bytes\n").unwrap();
        put(&mut rotated, LINE);
        assert_eq!(files(&folder)[0].1.len(), LINE.len());
    }

    #[test]
    fn a_file_that_another_process_put_aside_is_not_put_aside_again() {
        let (folder, mut rotated) = scene(3);
        (0..3).for_each(|_| put(&mut rotated, LINE));
        let path = folder.path().join("a.log");
        fs::rename(&path, folder.path().join("a.log.1")).unwrap();
        fs::write(&path, LINE).unwrap();
        put(&mut rotated, LINE);
        let lengths: Vec<usize> = files(&folder).iter().map(|(_, text)| text.len() / LINE.len()).collect();
        assert_eq!(lengths, [2, 3]);
    }

    #[test]
    fn a_renamed_file_is_written_until_it_is_opened_anew() {
        let (folder, mut rotated) = scene(3);
        put(&mut rotated, LINE);
        fs::rename(folder.path().join("a.log"), folder.path().join("moved")).unwrap();
        put(&mut rotated, LINE);
        assert_eq!(files(&folder), [("moved".to_owned(), "0123456789\n0123456789\n".to_owned())]);
        rotated.reopen();
        put(&mut rotated, LINE);
        assert_eq!(files(&folder).len(), 2);
    }

    #[test]
    fn a_folder_that_comes_later_is_written_once_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/a.log");
        let mut rotated = Rotated::new(LogFile { path: path.clone(), size: 1000, keep: 1 });
        let put = rotated.put(LINE);
        assert_eq!((put.whole, put.torn, put.error.is_some()), (0, false, true));
        fs::create_dir(folder.path().join("later")).unwrap();
        assert!(rotated.put(LINE).error.is_some(), "it is not tried at every line");
        rotated.reopen();
        assert!(rotated.put(LINE).error.is_none());
        let mode = fs::metadata(path).unwrap().mode();
        assert_eq!(mode & 0o007, 0, "{mode:o}");
    }

    #[test]
    fn a_device_that_is_full_is_no_file_to_cut_or_put_aside() {
        let mut rotated = Rotated::new(LogFile { path: "/dev/full".into(), size: 10, keep: 1 });
        for _ in 0..3 {
            let put = rotated.put(LINE);
            assert_eq!((put.whole, put.error.unwrap().kind()), (0, io::ErrorKind::StorageFull));
        }
    }
}
