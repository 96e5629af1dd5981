//! Published figures, properties, verdicts, and simulated traffic.

mod figures;
mod properties;
mod routes;
mod simulated;
mod strata;
mod traffic;
mod verdicts;

use super::*;

fn counts(calls: u64, errors: u64, slow: u64) -> Counts {
    Counts { calls, errors, slow }
}

fn pair<T>(stable: T, gray: T) -> Pair<T> {
    Pair { stable, gray }
}
