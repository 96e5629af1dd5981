//! What takes minutes or gigabytes. Not part of the ordinary run: `make test-long` asks for it by name.
#![allow(clippy::unwrap_used, reason = "a test's functions may fail by panicking wherever they stand")]

#[allow(dead_code, unused_imports, reason = "the harness is shared with the end-to-end tests, which use all of it")]
#[path = "../e2e/harness/mod.rs"]
mod harness;

#[allow(dead_code, unused_imports, reason = "the stage is shared with the short drill of the end-to-end tests")]
#[path = "../e2e/drill/stage/mod.rs"]
mod stage;

#[allow(dead_code, reason = "the crowd is shared with the end-to-end tests")]
#[path = "../e2e/reload/crowd.rs"]
mod changing;
#[allow(dead_code, unused_imports, reason = "the stage is shared with the end-to-end tests of sources")]
#[path = "../e2e/source/stage/mod.rs"]
mod source_stage;

#[allow(dead_code, reason = "the line of processes is shared with the end-to-end tests")]
#[path = "../e2e/lifecycle/succession.rs"]
mod succession;

mod bodies;
mod crowd;
mod drill;
mod effect;
mod hand_over;
mod live;
mod nacos;
mod reload;
mod replay;
mod rules;
mod soak;
mod watched;
