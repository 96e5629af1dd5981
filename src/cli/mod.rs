//! The command line.

pub mod explain;
pub mod token;
