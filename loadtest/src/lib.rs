//! Measures graylane beside its peers. A scenario (a file) says which proxies do which job under which load and what is
//! told of it; proxies take turns round by round, because a shared machine drifts, and each answer has to come from the
//! lane that the proxy's own formula gives: a fast wrong proxy is no result.
//!
//! In reading order: [`scenario`] is what is wanted, with its [`shape`], [`visitors`] are the requests and the lanes they must get, [`stage`]
//! starts and pins everything, [`load`] makes the load, [`measure`] takes the rounds, [`report`] tells. [`origin`] and
//! [`copy`] are servers of our own that the stage starts as processes; [`instructions`] holds the budget of instructions.

pub mod copy;
pub mod instructions;
pub mod load;
pub mod measure;
pub mod origin;
pub mod report;
pub mod scenario;
pub mod shape;
pub mod stage;
pub mod visitors;
