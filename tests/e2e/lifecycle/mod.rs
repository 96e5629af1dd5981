//! A process's life: ready, watched, drained.

mod admin;
mod demo;
mod drain;
mod hand_over;
mod log;
mod metrics;
mod secrets;
mod succession;
mod supervisor;
