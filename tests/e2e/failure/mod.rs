//! What goes wrong, and what users are told then.

mod configs;
pub(crate) mod deadlines;
mod ports;
mod upstreams;
