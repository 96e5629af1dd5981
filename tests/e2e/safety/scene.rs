//! What the tests of faults share: a gray lane for everybody, and faults with an end.

use std::time::{Duration, SystemTime};

use crate::harness::{Origin, Plan};

/// An instant so long from now, as a configuration has it.
pub(super) fn ahead(time: Duration) -> String {
    let instant = jiff::Timestamp::try_from(SystemTime::now() + time).expect("a time of this century");
    instant.to_string()
}

/// One fault on the gray lane of the route `all`, ten minutes long, by what it does and its share.
pub(super) fn fault(name: &str, what: &str) -> String {
    let expires = ahead(Duration::from_secs(600));
    format!("{{ name: {name}, route: all, lane: gray, expires: {expires}, {what} }}")
}

/// Stable and gray; everybody is on gray, unless a mark says otherwise.
pub(super) struct Scene {
    pub(super) stable: Origin,
    pub(super) gray: Origin,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self { stable: Origin::lane("stable"), gray: Origin::lane("gray") }
    }

    /// A plan with these faults, an access log and changes allowed.
    pub(super) fn plan(&self, faults: &[String]) -> Plan {
        let list: String = faults.iter().map(|fault| format!("  - {fault}\n")).collect();
        let list = if list.is_empty() { String::new() } else { format!("faults:\n{list}") };
        Plan::gray(self.stable.address(), self.gray.address(), "level: full")
            .more(&format!("access_log: all\n{list}---\nadmin: {{ insecure_changes: true }}\n"))
    }
}
