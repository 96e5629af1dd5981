//! Faults on purpose as they are asked for, in a configuration or one by one at the admin port.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::compile::fault;
use super::file::FileFault;
use super::gather::document_of;
use super::problem::{Findings, Problems};
use super::read::Read;
use super::settings::Settings;
use super::text::{Span, Texts};
use crate::decide::Permille;
use crate::resilience::Injection;

/// A fault on a share of a lane's requests. Routes and lane go by their names, so that it outlives a change of the
/// configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// Its name, in logs and metrics.
    pub name: Arc<str>,
    /// The routes whose requests meet it; at least one.
    pub routes: Vec<Arc<str>>,
    /// The lane whose requests meet it.
    pub lane: Arc<str>,
    /// Which share of these requests meets it.
    pub share: Permille,
    /// What it does to them.
    pub injection: Injection,
    /// When it ends by itself.
    pub expires: SystemTime,
    /// Whether it counts against the release and its breaker like a fault that is real.
    pub counts: bool,
}

/// Faults that together want more requests of one lane than there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the faults on lane `{lane}` of route `{route}` add up to {permille} permille, 1000 is the most")]
pub struct Crowded {
    route: Arc<str>,
    lane: Arc<str>,
    permille: u32,
}

impl FaultPlan {
    /// The longest that a fault may be set for: whoever wants it longer has to say so again.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
    /// Most faults at once.
    pub const MOST: usize = 64;

    /// Whether requests of this route and lane may meet it.
    pub fn is_on(&self, route: &str, lane: &str) -> bool {
        *self.lane == *lane && self.routes.iter().any(|there| **there == *route)
    }

    /// Whether it can stand beside others: on each lane of a route the shares may add up to no more than everything.
    pub fn fits_beside<'o>(&self, others: impl Iterator<Item = &'o FaultPlan> + Clone) -> Result<(), Crowded> {
        for route in &self.routes {
            let beside = others.clone().filter(|other| other.is_on(route, &self.lane));
            let taken: u32 = beside.map(|fault| u32::from(fault.share.get())).sum();
            let permille = taken + u32::from(self.share.get());
            if permille > 1000 {
                return Err(Crowded { route: route.clone(), lane: self.lane.clone(), permille });
            }
        }
        Ok(())
    }
}

/// Reads one fault, written as in a configuration's list, in YAML or JSON. It must not have expired.
pub fn parse_fault(text: &[u8], settings: &Settings, now: SystemTime) -> Result<FaultPlan, Problems> {
    let (mut texts, mut findings) = (Texts::default(), Findings::default());
    let document = document_of(Path::new("body"), text, &mut texts, &mut findings);
    let written = document.and_then(|document| FileFault::read(&document, &mut findings));
    let lanes = settings.program.lanes();
    let known = settings.routes.iter().map(|route| {
        let names = route.lanes.iter().map(|(lane, _)| lanes.name(*lane));
        (&*route.name, names.collect())
    });
    let plan = written.and_then(|written| {
        let plan = fault::one(&written, &known.collect::<Vec<_>>(), now, &mut findings)?;
        if plan.expires <= now {
            findings.error(written.at, format!("fault `{}` has expired", plan.name));
        }
        Some(plan)
    });
    if plan.is_none() && !findings.refused() {
        findings.error(Span::default(), "this is no fault");
    }
    findings.resolve(&texts)?;
    Ok(plan.expect("a fault that could not be read was told"))
}
