//! A process's life: ready, watched, drained.

mod admin;
mod demo;
mod drain;
mod log;
mod metrics;
