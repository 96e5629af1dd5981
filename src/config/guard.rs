//! When a change needs a confirmation.

use crate::decide::Permille;

/// Which changes need a confirmation before they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Moving more users than this share into gray at once does.
    pub most: Permille,
    /// Whether changes of files are guarded.
    pub files: bool,
    /// Whether changes from shared sources are.
    pub sources: bool,
}

impl Guard {
    /// The share that may move at once unless another is set: 20 %.
    const MOST: Permille = match Permille::new(200) {
        Some(share) => share,
        None => Permille::ALL,
    };
}

impl Default for Guard {
    fn default() -> Self {
        Guard { most: Guard::MOST, files: false, sources: true }
    }
}
