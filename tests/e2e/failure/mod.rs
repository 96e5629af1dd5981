//! What goes wrong, and what users are told then.

mod configs;
pub(crate) mod deadlines;
mod endpoints;
mod ports;
mod upstreams;
