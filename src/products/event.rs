//! What is told.

use jiff::Timestamp;
use serde::Serialize;

use crate::change::Concern;

/// Products that a change concerns.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// `invalidate`
    pub event: &'static str,
    /// Names the change: the same one told twice has the same id.
    pub id: String,
    /// When, RFC 3339.
    pub time: String,
    /// The service whose sidecar tells.
    pub service: String,
    /// The products, or `*` for all.
    pub sku_ids: Concern,
    /// The number of the product snapshot in force; `null` where none is bound.
    pub product_version: Option<u64>,
    /// The version of the configuration before.
    pub from: String,
    /// The version of the configuration that is in force.
    pub config_version: String,
}

impl Event {
    /// Of a change that came into force just now; nothing where it concerns no product.
    pub fn of(
        sku_ids: Concern,
        service: &str,
        product_version: Option<u64>,
        from: &str,
        config_version: &str,
    ) -> Option<Self> {
        let time = Timestamp::now();
        (sku_ids != Concern::Nothing).then(|| Self {
            event: "invalidate",
            id: format!("{from}-{config_version}-{}", time.as_nanosecond()),
            time: time.to_string(),
            service: service.to_owned(),
            sku_ids,
            product_version,
            from: from.to_owned(),
            config_version: config_version.to_owned(),
        })
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an event has text for keys")
    }
}
