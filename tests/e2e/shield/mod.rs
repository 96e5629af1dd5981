//! What gray breaks, stable makes good: where that is safe, and only there.

mod budget;
mod retries;
