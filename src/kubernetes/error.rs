//! Why the API server gave no answer.

use crate::outbound::{CallError, TlsError};

/// Why the API server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// It could not be reached, broke off, or said too much.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It refused, with this status and these words.
    #[error("answered {status}: {said}")]
    Refused {
        /// The status code.
        status: u16,
        /// What it said.
        said: String,
    },
    /// What it said cannot be understood.
    #[error("cannot be understood: {0}")]
    Garbled(String),
    /// It is not known where it is, or a file that is needed cannot be read.
    #[error("{0}")]
    Setup(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ApiError {
    /// Whether somebody else changed the object meanwhile.
    pub fn is_conflict(&self) -> bool {
        matches!(self, ApiError::Refused { status: 409, .. })
    }

    /// Whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, ApiError::Refused { status: 404, .. })
    }
}
