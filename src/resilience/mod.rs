//! What keeps a bad lane from hurting anyone for long, and what shows that it does. Pure: no clock, no chance, no I/O;
//! `now` and draws are arguments.
//!
//! * [`Injection`] is a fault on purpose, and [`pick`] says which requests meet one.

mod injection;

pub use injection::{Delay, DelayError, Injection, pick};
