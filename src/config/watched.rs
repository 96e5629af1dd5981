//! Something read from files that may be replaced while the process runs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

/// What files hold, as it was last read without a fault. Reading it takes no lock.
pub struct Watched<T> {
    value: ArcSwap<T>,
    files: Vec<PathBuf>,
    open: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
    seen: Mutex<Vec<Stamp>>,
}

/// What became of a look at the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// They are as they were.
    Same,
    /// They changed, and what they hold now counts.
    Fresh,
    /// They changed to something that cannot be used: what was read before stays. Told once a change.
    Broken(String),
}

/// By what a changed file is known: a file put in another's place by a rename is another one.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl<T> Watched<T> {
    /// Reads the files for the first time, by `open`.
    pub fn open(
        files: Vec<PathBuf>,
        open: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Watched<T>, String> {
        Self::try_open(files, open)
    }

    /// As [`Watched::open`], for what says with an error of its own why it cannot be read.
    pub fn try_open<E: std::fmt::Display>(
        files: Vec<PathBuf>,
        open: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Watched<T>, E> {
        // Before they are read: what changes meanwhile is then seen by the next look.
        let seen = files.iter().map(|file| stamp(file)).collect();
        let value = ArcSwap::from_pointee(open()?);
        let open = Box::new(move || open().map_err(|error| error.to_string()));
        Ok(Watched { value, files, open, seen: Mutex::new(seen) })
    }

    /// Something that is not there yet; the first look reads it.
    pub fn missing(
        value: T,
        files: Vec<PathBuf>,
        open: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Watched<T> {
        let seen = Mutex::new(files.iter().map(|_| None).collect());
        Watched { value: ArcSwap::from_pointee(value), files, open: Box::new(open), seen }
    }

    /// What counts now.
    pub fn get(&self) -> Guard<Arc<T>> {
        self.value.load()
    }

    /// Lets this count instead: something else made of the same.
    pub fn adopt(&self, value: Arc<T>) {
        self.value.store(value);
    }

    /// The files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Reads the files again where they changed. Waits for the disk.
    pub fn look(&self) -> Looked {
        let now: Vec<Stamp> = self.files.iter().map(|file| stamp(file)).collect();
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Looked::Same;
            }
            *seen = now;
        }
        match (self.open)() {
            Ok(value) => {
                self.value.store(Arc::new(value));
                Looked::Fresh
            }
            Err(why) => Looked::Broken(why),
        }
    }
}

impl<T> std::fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamp(file: &Path) -> Stamp {
    let known = std::fs::metadata(file).ok()?;
    let changed = |seconds: i64, nanos: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
    let (modified, moved) = (changed(known.mtime(), known.mtime_nsec()), changed(known.ctime(), known.ctime_nsec()));
    Some((known.dev(), known.ino(), known.len(), modified, moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_counts_and_a_broken_one_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        std::fs::write(&path, "1").unwrap();
        let read = {
            let path = path.clone();
            move || {
                let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
                text.parse::<u32>().map_err(|error| error.to_string())
            }
        };
        let watched = Watched::open(vec![path.clone()], read).unwrap();
        assert_eq!((**watched.get(), watched.look()), (1, Looked::Same));
        let beside = folder.path().join("next");
        std::fs::write(&beside, "2").unwrap();
        std::fs::rename(&beside, &path).unwrap();
        assert_eq!((watched.look(), **watched.get()), (Looked::Fresh, 2));
        std::fs::write(&path, "two").unwrap();
        assert!(matches!(watched.look(), Looked::Broken(_)));
        assert_eq!((watched.look(), **watched.get()), (Looked::Same, 2));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(watched.look(), Looked::Broken(_)));
        assert_eq!((watched.look(), **watched.get()), (Looked::Same, 2));
        std::fs::write(&path, "3").unwrap();
        assert_eq!((watched.look(), **watched.get()), (Looked::Fresh, 3));
    }
}
