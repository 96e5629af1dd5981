//! Plans, history and rollback as the admin port sees them.

use std::path::Path;
use std::sync::Arc;

use super::ledger::Ledger;
use super::reload::{Desk, listed};
use crate::admin::{ConfigControl, PastView, SyncControl, SyncError, Synced};
use crate::change::Plan;
use crate::config::{self, Source};
use crate::live::Live;
use crate::proxy::Snapshot;

/// Where configurations are planned, read again and taken back.
pub(super) struct ConfigDesk {
    pub(super) desk: Desk,
    pub(super) ledger: Arc<Ledger>,
    pub(super) live: Arc<Live<Snapshot>>,
}

/// The name that problems call the body of a call by.
const BODY: &str = "body.yaml";

impl ConfigControl for ConfigDesk {
    /// Looks at no file but those beside the ones in force: who may ask is not always who may name files.
    fn plan(&self, text: &str) -> Result<Plan, Vec<String>> {
        // Relative paths in it start where those of the first file do.
        let texts = self.ledger.texts();
        let folder = texts.first().and_then(|first| first.path.parent()).unwrap_or(Path::new(""));
        let body = Source { path: folder.join(BODY), text: text.to_owned() };
        let loaded = config::load_asked(&body, self.ledger.reach()).map_err(|problems| listed(&problems))?;
        Ok(self.ledger.plan(&self.live.get(), &loaded))
    }

    fn history(&self) -> Vec<PastView> {
        let current = self.live.get();
        let versions = self.ledger.history().versions();
        versions.iter().map(|past| PastView::of(past, past.version == current.version)).collect()
    }

    fn roll_back(&self, version: &str, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError> {
        let past = self.ledger.history().version(version).ok_or_else(|| SyncError::Unknown(version.to_owned()))?;
        self.desk.roll_back(past, by, confirm)
    }
}

impl SyncControl for ConfigDesk {
    fn sync(&self, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError> {
        self.desk.sync(by, confirm)
    }
}
