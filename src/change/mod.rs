//! What judges a change of the configuration, and what remembers it.
//!
//! A [`Plan`] is made before anything is changed: what differs, whom it moves into gray and out of it, and why it is
//! dangerous. It says whether a confirmation is needed; its digest is what confirms it and nothing else. What became of
//! a change goes into the [`Journal`], a chain in which a cut or an edit shows, and the texts into the [`History`], from
//! which an earlier version can be taken again.
//!
//! Plans are pure. Journal and history write below the state directory; where that fails they go on in memory and say so.

mod shown;

mod concern;
mod difference;
mod effect;
mod opening;

mod plan;

mod chain;
mod disk;
mod history;
mod journal;
mod record;

pub use chain::{ChainError, Head, Verified, verify};
pub use concern::Concern;
pub use difference::{Became, Difference, Names, defined};
pub use effect::{Effect, Standing, Subject};
pub use history::{History, MOST_VERSIONS, Past};
pub use journal::{Entry, Journal, JournalState};
pub use plan::{Need, Origin, Plan, Side, Unconfirmed};
pub use record::{AuditAction, AuditRecord};

#[cfg(test)]
mod tests;
