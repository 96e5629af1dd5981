//! When a change needs a confirmation, and the confirmations that were written.

use crate::config::file::{FileConfig, FileGuard, OnOff};
use crate::config::guard::Guard;
use crate::decide::Permille;

/// What is set, and the defaults for the rest.
pub(super) fn guard(written: Option<&FileGuard>) -> Guard {
    let default = Guard::default();
    let Some(written) = written else { return default };
    let most = written.r#move.as_ref().and_then(|share| Permille::new(share.value.0));
    Guard {
        most: most.unwrap_or(default.most),
        files: written.files.as_ref().map_or(default.files, |word| word.value == OnOff::On),
        sources: written.sources.as_ref().map_or(default.sources, |word| word.value == OnOff::On),
    }
}

/// Every `confirm` of every document.
pub(super) fn confirmations(config: &FileConfig) -> Vec<String> {
    config.confirm.iter().flat_map(|written| &written.0).map(|digest| digest.value.clone()).collect()
}
