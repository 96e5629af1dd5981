//! graylane: a sidecar reverse proxy for gray releases of commodity services.
//!
//! `ARCHITECTURE.md` names the rooms below, the way of a request through them, and what each must not do.

pub mod decide;
pub mod replay;
pub mod resilience;

pub mod evidence;

pub mod beat;
pub mod change;
pub mod config;
pub mod extract;
pub mod kubernetes;
pub mod latch;
pub mod live;
pub mod lookup;
pub mod outbound;
pub mod products;
pub mod source;

pub mod tls;

pub mod wire;

pub mod upstream;

pub mod proxy;

pub mod telemetry;
pub mod trace;

pub mod inject;

pub mod admin;
pub mod app;
pub mod cli;
