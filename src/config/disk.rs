//! What the files of a configuration hold, read once: what is loaded and what is compared later are the same bytes.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The largest file. A ConfigMap holds 1 MiB.
pub(super) const MAX_FILE_BYTES: usize = 4 << 20;
/// Most files of one configuration.
const MAX_FILES: usize = 1000;

/// SHA-256.
pub type Digest = [u8; 32];

/// Files as they were at one moment, or why they could not be read.
#[derive(Debug)]
pub struct ReadFiles(pub(super) Vec<(PathBuf, Result<Vec<u8>, String>)>);

/// A key file that went into a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Its path.
    pub path: PathBuf,
    /// The digest of what it held.
    pub digest: Digest,
}

impl ReadFiles {
    /// Reads files, and the `*.yaml` and `*.yml` files of folders. A file that is named twice is read once.
    pub fn of(paths: &[PathBuf]) -> Self {
        let (mut read, mut seen) = (Vec::new(), HashSet::new());
        for path in paths {
            match files_of(path) {
                Err(message) => read.push((path.clone(), Err(message))),
                Ok(files) => {
                    for file in files {
                        if seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                            let bytes = read_at_most(&file, MAX_FILE_BYTES);
                            read.push((file, bytes.map_err(|error| format!("cannot read this file: {error}"))));
                        }
                    }
                }
            }
        }
        Self(read)
    }

    /// The same without the files of these names.
    pub(super) fn without(&self, names: &HashSet<&str>) -> Self {
        let is_kept = |path: &Path| !names.contains(&*path.to_string_lossy());
        Self(self.0.iter().filter(|(path, _)| is_kept(path)).cloned().collect())
    }

    /// A digest of names and contents, good or not: where it is the same there is nothing new to load.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for (path, read) in &self.0 {
            let said = read.as_ref().map_or_else(|message| message.as_bytes(), Vec::as_slice);
            for part in [path.as_os_str().as_encoded_bytes(), said] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }
}

impl KeyFile {
    pub(super) fn new(path: PathBuf, bytes: &[u8]) -> Self {
        Self { path, digest: Sha256::digest(bytes).into() }
    }

    /// Whether it holds the same now; one that cannot be read does not.
    pub fn is_unchanged(&self) -> bool {
        let bytes = read_at_most(&self.path, MAX_FILE_BYTES);
        bytes.is_ok_and(|bytes| Digest::from(Sha256::digest(&bytes)) == self.digest)
    }
}

/// The file itself, or the `*.yaml` and `*.yml` files of a folder by name. Hidden ones (`..data` of a ConfigMap) are left.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| format!("cannot read this folder: {error}"))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| format!("cannot read this folder: {error}"))?.path();
        let yaml = file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if yaml && !hidden && !file.is_dir() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err("no `*.yaml` file in this folder".into());
    }
    if files.len() > MAX_FILES {
        return Err(format!("{} `*.yaml` files in this folder; {MAX_FILES} is the most", files.len()));
    }
    files.sort();
    Ok(files)
}

/// At most so many bytes of a file and one more, so that a too long one is known as such without being read.
pub(super) fn read_at_most(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
