//! The command line: words to `app` and to tools.

pub mod check;
pub mod explain;
pub mod schema;
pub mod token;
