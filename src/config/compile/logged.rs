//! The facts that the access log holds beside its own.

use super::condition::unknown_key;
use crate::config::problem::Findings;
use crate::config::text::At;
use crate::decide::{FactId, FactTable};

/// Most facts of a line, so that a line stays bounded.
const MOST: usize = 32;

/// Headers whose values open doors: a log is read by more people than a request.
const SECRETS: [&str; 4] = ["header:authorization", "header:proxy-authorization", "header:cookie", "header:x-api-key"];

/// The facts named, each once.
pub(super) fn facts(written: Option<&[At<String>]>, table: &mut FactTable, findings: &mut Findings) -> Vec<FactId> {
    let mut facts = Vec::new();
    for name in written.into_iter().flatten() {
        let fact = match table.resolve(name) {
            Ok(fact) => fact,
            Err(error) => {
                unknown_key(name, &error, table, findings);
                continue;
            }
        };
        let why = match fact {
            FactId::USER_ID | FactId::DEVICE_ID => "is logged as a keyed hash, never as it is",
            FactId::CLIENT_IP | FactId::SKU_ID | FactId::CATEGORY_ID | FactId::ORDER_AMOUNT => {
                "has a field of its own in every line"
            }
            _ if SECRETS.contains(&table.name(fact)) => "holds secrets, which do not belong in a log",
            _ if facts.len() == MOST => {
                findings.error(name.at, format!("more than {MOST} facts in the access log"));
                return facts;
            }
            _ => {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
                continue;
            }
        };
        findings.error(name.at, format!("`{}` {why}", name.value));
    }
    facts
}
