//! Why files make no TLS.

use std::path::{Path, PathBuf};

/// Why files make no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("`{path}`: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The library refused what the files say.
    #[error("TLS cannot be set up: {0}")]
    Refused(#[from] rustls::Error),
}

impl TlsError {
    pub(super) fn file(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }
}
