//! What goes wrong with a source.

use std::path::PathBuf;

use crate::outbound::{CallError, TlsError};
use crate::telemetry::SourceFault;

/// What went wrong with a source. Whatever it is, what the source posted last stays in force.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The server could not be reached, or broke off.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server did not answer in time.
    #[error("no answer in time: {0}")]
    Late(String),
    /// The server refused us.
    #[error("refused: {0}")]
    Refused(String),
    /// More documents, or more bytes, than the bounds of the source allow.
    #[error("more than the bounds of this source allow: {0}")]
    TooLarge(String),
    /// What the server said cannot be understood, or is no text.
    #[error("cannot be understood: {0}")]
    Garbled(String),
    /// The server offers an older state than the one that was taken.
    #[error("revision {offered} is older than {taken}, which was taken before")]
    OldRevision {
        /// What it offers.
        offered: String,
        /// What it offered before.
        taken: String,
    },
    /// A file that is needed to call the server cannot be used.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl SourceError {
    /// Its kind, for metrics and to tell each kind once.
    pub fn fault(&self) -> SourceFault {
        match self {
            SourceError::Unreachable(_) => SourceFault::Unreachable,
            SourceError::Late(_) => SourceFault::Late,
            SourceError::Refused(_) => SourceFault::Refused,
            SourceError::TooLarge(_) => SourceFault::TooLarge,
            SourceError::Garbled(_) => SourceFault::Garbled,
            SourceError::OldRevision { .. } => SourceFault::OldRevision,
            SourceError::File { .. } | SourceError::Tls(_) => SourceFault::Setup,
        }
    }
}

impl From<CallError> for SourceError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable(why) => SourceError::Unreachable(why),
            CallError::Late(within) => SourceError::Late(format!("waited {within:?}")),
            CallError::TooLarge(bytes) => SourceError::TooLarge(format!("an answer of more than {bytes} bytes")),
        }
    }
}
