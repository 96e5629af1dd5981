//! Where the access log goes, and what of a line is not shown.

use std::path::PathBuf;

/// The file of the access log and its rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file that is written.
    pub path: PathBuf,
    /// No file is larger, in bytes.
    pub size: u64,
    /// How many full files are kept beside it, as `PATH.1` (the newest), `PATH.2` and so on.
    pub keep: u32,
}

/// The fields of the access log that can be hidden. The names of the facts in `access_log_facts` can be as well.
pub const REDACTABLE: &[&str] =
    &["request_id", "trace_id", "client", "host", "path", "user", "device", "sku_id", "category_id", "order_amount"];

/// What of a line is not shown: the field is there, its value is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redaction {
    /// Names of fields, and of facts.
    pub fields: Vec<Box<str>>,
    /// Names of path parameters: those that users are known by are always among them.
    pub parameters: Vec<Box<str>>,
}

impl Redaction {
    /// Nothing is hidden.
    pub const NONE: Self = Self { fields: Vec::new(), parameters: Vec::new() };

    /// Whether the value of this field, or of this fact, is hidden.
    #[inline]
    pub fn hides(&self, name: &str) -> bool {
        self.fields.iter().any(|field| **field == *name)
    }

    /// Whether the value of this path parameter is hidden.
    pub fn hides_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| **parameter == *name)
    }
}
