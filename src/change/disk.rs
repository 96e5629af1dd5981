//! Replacing a file as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file beside its place and renames it over it: after a power cut there is the old one or the new one. What a
/// configuration holds is nobody else's business, so only the owner may read it.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let written =
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    let placed = written.and_then(|()| fs::rename(&new, folder.join(name)));
    if placed.is_err() {
        // On a full disk the half file would take room that something else needs.
        let _ = fs::remove_file(&new);
    }
    placed.and_then(|()| File::open(folder)?.sync_all())
}
