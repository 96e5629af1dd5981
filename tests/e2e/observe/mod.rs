//! What others see of a sidecar: its access log, its metrics, and what is made of them.

mod docs;
mod log;
mod metrics;
mod prometheus;
mod replay;
mod rules;
