//! End to end: the real binary between real clients and origins. One module per promise family.
#![allow(clippy::unwrap_used, reason = "a test's functions may fail by panicking wherever they stand")]

mod attack;
mod breaker;
mod change;
mod cluster;
mod drill;
mod facts;
mod failure;
mod harness;
mod idle;
mod kubernetes;
mod latch;
mod lifecycle;
mod limits;
mod live;
mod memory;
mod observe;
mod page;
mod protocol;
mod reload;
mod routing;
mod safety;
mod shield;
mod source;
mod tls;
mod traces;
