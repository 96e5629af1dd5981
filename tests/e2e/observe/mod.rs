//! What others see of a sidecar: its access log, its metrics, and what is made of them.

mod log;
