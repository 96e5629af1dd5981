//! Faults on purpose as the admin port sees and changes them.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::view::ControlView;
use crate::admin::{FaultControl, FaultError, FaultView};
use crate::change::AuditAction;
use crate::config::{FaultPlan, parse_fault};
use crate::live::Live;
use crate::proxy::{Fault, FaultOrigin, Faults, Snapshot};
use crate::resilience::{Delay, Injection};

/// Where faults are set and taken away by hand; each change is told in the log and the audit trail.
pub(super) struct FaultDesk {
    pub(super) faults: Arc<Faults>,
    pub(super) live: Arc<Live<Snapshot>>,
    pub(super) view: Arc<ControlView>,
}

impl FaultControl for FaultDesk {
    fn faults(&self) -> Vec<FaultView> {
        self.faults.list().iter().map(|fault| fault_view(fault)).collect()
    }

    fn add_fault(&self, text: &[u8], by: &str) -> Result<FaultView, FaultError> {
        let snapshot = self.live.get();
        let plan = parse_fault(text, &snapshot.settings, SystemTime::now()).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            FaultError::Unfit(told.join("; "))
        })?;
        let fault = self.faults.add(&plan).map_err(|error| FaultError::InTheWay(error.to_string()))?;
        let FaultPlan { name, lane, share, injection, .. } = &fault.plan;
        let (kind, permille) = (injection.as_str(), share.get());
        tracing::warn!(fault = %name, kind, %lane, permille, by, "a fault on purpose was set");
        self.view.changed(AuditAction::FaultSet, vec![name.to_string()], by);
        Ok(fault_view(&fault))
    }

    fn remove_fault(&self, name: &str, by: &str) -> bool {
        let removed = self.faults.remove(name);
        if removed {
            self.removed(vec![name.to_owned()], by);
        }
        removed
    }

    fn clear_faults(&self, by: &str) -> Vec<Arc<str>> {
        let names = self.faults.clear();
        if !names.is_empty() {
            self.removed(names.iter().map(ToString::to_string).collect(), by);
        }
        names
    }
}

impl FaultDesk {
    fn removed(&self, names: Vec<String>, by: &str) {
        tracing::warn!(faults = names.join(", "), by, "faults on purpose were taken away");
        self.view.changed(AuditAction::FaultRemoved, names, by);
    }
}

fn fault_view(fault: &Fault) -> FaultView {
    let plan = &fault.plan;
    FaultView {
        name: plan.name.to_string(),
        routes: plan.routes.iter().map(ToString::to_string).collect(),
        lane: plan.lane.to_string(),
        permille: plan.share.get(),
        kind: plan.injection.as_str(),
        effect: effect(&plan.injection),
        expires: plan.expires,
        on: fault.is_on(),
        origin: match fault.origin {
            FaultOrigin::Configuration => "configuration",
            FaultOrigin::Hand => "admin",
        },
        counts: plan.counts,
        injected: fault.series.sum(),
    }
}

fn effect(injection: &Injection) -> Value {
    match injection {
        Injection::Delay(Delay::Fixed(delay)) => json!({ "delay_seconds": delay.as_secs_f64() }),
        Injection::Delay(Delay::LogNormal { median, p99 }) => {
            json!({ "p99_seconds": p99.as_secs_f64(), "median_seconds": median.as_secs_f64() })
        }
        Injection::Abort(status) => json!({ "status": status }),
        Injection::Reset => json!({}),
        Injection::SlowBody(rate) => json!({ "bytes_per_second": rate }),
    }
}
