//! `graylane leave`: tells the sidecar of this pod that the pod is about to end. The injection makes it the sidecar's preStop hook.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::Request;

use crate::outbound::{Bounds, Caller, Roots};

/// The options of `graylane leave`.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// The address of the sidecar's probes, on loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:15091")]
    pub probes: SocketAddr,
}

const BOUNDS: Bounds = Bounds { within: Duration::from_secs(2), bytes: 4096 };

/// Asks, and waits for the answer.
///
/// # Errors
/// Nobody answers there, or it will not.
pub fn run(args: &LeaveArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let request = Request::post(format!("http://{}/leave", args.probes)).body(Bytes::new())?;
    let caller = Caller::new(&Roots::default())?;
    let answer = runtime.block_on(caller.call(request, BOUNDS)).with_context(|| format!("{}", args.probes))?;
    anyhow::ensure!(answer.status == 204, "{} answered {}", args.probes, answer.status);
    Ok(ExitCode::SUCCESS)
}
