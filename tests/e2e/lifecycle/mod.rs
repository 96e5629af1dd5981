//! A process's life: ready, watched, drained.

mod admin;
mod drain;
mod log;
mod metrics;
