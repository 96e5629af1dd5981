//! Another configuration for a sidecar that runs: what is seen of it, and what must not be.

mod files;
mod swap;

use crate::harness::{Origin, Plan};

/// Everything to one upstream, with changes allowed; `more` is top-level text.
fn plan_to(origin: &Origin, more: &str) -> Plan {
    Plan::to(origin.address()).admin("insecure_changes: true").more(more)
}
