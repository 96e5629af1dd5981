//! The folder with the demo's configuration: readable to this user alone, gone when the demo ends.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A folder of our own in the system's folder for temporary files.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder; one that is there already is never taken, whoever made it.
    pub(super) fn create() -> io::Result<Scratch> {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let name = format!("graylane-demo-{}-{nanos:09}", std::process::id());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a new file that only this user can read.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(name));
        file?.write_all(text.as_bytes())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is lost when it fails: the system empties the place in time.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A key for signed overrides: 256 random bits, as a line of hexadecimal digits.
pub(super) fn new_key() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    key.push('\n');
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_is_private_and_gone_in_the_end() {
        let scratch = Scratch::create().unwrap();
        scratch.write("file", "text").unwrap();
        assert!(scratch.write("file", "again").is_err());
        let path = scratch.path().to_owned();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("file"))), (0o700, 0o600));
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn keys_differ_and_are_long_enough() {
        let key = new_key().unwrap();
        assert_eq!(key.trim_end().len(), 64);
        assert_ne!(key, new_key().unwrap());
    }
}
