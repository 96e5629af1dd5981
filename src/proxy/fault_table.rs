//! The faults on purpose that are set now: those of the configuration and those that somebody set by hand.
//!
//! They go by the names of routes and lanes, so those set by hand outlive a change of the configuration. Any of them can
//! be taken away at once; one of the configuration comes back with the next configuration that still has it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use crate::config::{Crowded, FaultPlan};
use crate::live::Live;
use crate::telemetry::{FaultSeries, Telemetry};

/// Who set a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultOrigin {
    /// The configuration.
    Configuration,
    /// Somebody, at the admin port.
    Hand,
}

/// A fault that is set.
pub struct Fault {
    /// What it does, to whom, until when.
    pub plan: FaultPlan,
    /// Who set it.
    pub origin: FaultOrigin,
    /// How many requests met it; counted for its name and kind, so it goes on where an earlier one ended.
    pub series: Arc<FaultSeries>,
    /// Its end on the clock that nobody sets.
    ends: Instant,
}

/// Why a fault cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum AddFaultError {
    /// Another one has the name.
    #[error("there is a fault `{0}` already; take it away first")]
    Taken(Arc<str>),
    /// There would be too many.
    #[error("more than {} faults", FaultPlan::MOST)]
    TooMany,
    /// Together they want more requests than there are.
    #[error(transparent)]
    Crowded(#[from] Crowded),
}

type Table = Vec<Arc<Fault>>;

/// Every fault that is set.
pub struct Faults {
    table: Live<Table>,
    /// Whether there is any: all that a request asks where there is none.
    any: AtomicBool,
    changing: Mutex<()>,
    telemetry: Arc<Telemetry>,
}

impl Fault {
    fn new(plan: &FaultPlan, origin: FaultOrigin, telemetry: &Telemetry) -> Arc<Self> {
        let ahead = plan.expires.duration_since(SystemTime::now()).unwrap_or_default();
        Arc::new(Self {
            plan: plan.clone(),
            origin,
            series: telemetry.fault(&plan.name, plan.injection.as_str()),
            ends: Instant::now() + ahead,
        })
    }

    /// Whether it has not ended by itself. It ends as soon as either clock says so: turning the time of day back must
    /// not make it longer.
    pub fn is_on(&self) -> bool {
        Instant::now() < self.ends && SystemTime::now() < self.plan.expires
    }
}

impl Faults {
    /// None yet.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        let table = Live::new(Arc::default());
        Self { table, any: AtomicBool::new(false), changing: Mutex::new(()), telemetry }
    }

    /// A configuration came into force: its faults take the place of the one before's, and of those by hand that have
    /// the same name.
    pub fn configure(&self, plans: &[FaultPlan]) {
        self.change(|before| {
            let is_kept = |fault: &&Arc<Fault>| {
                fault.origin == FaultOrigin::Hand && plans.iter().all(|plan| plan.name != fault.plan.name)
            };
            let fresh = plans.iter().map(|plan| Fault::new(plan, FaultOrigin::Configuration, &self.telemetry));
            (fresh.chain(before.iter().filter(is_kept).cloned()).collect(), ())
        });
    }

    /// Sets a fault by hand.
    pub fn add(&self, plan: &FaultPlan) -> Result<Arc<Fault>, AddFaultError> {
        self.change(|before| {
            let mut after: Table = before.iter().filter(|fault| fault.is_on()).cloned().collect();
            if after.iter().any(|fault| fault.plan.name == plan.name) {
                return (before.clone(), Err(AddFaultError::Taken(plan.name.clone())));
            }
            if after.len() >= FaultPlan::MOST {
                return (before.clone(), Err(AddFaultError::TooMany));
            }
            if let Err(crowded) = plan.fits_beside(after.iter().map(|fault| &fault.plan)) {
                return (before.clone(), Err(crowded.into()));
            }
            let fault = Fault::new(plan, FaultOrigin::Hand, &self.telemetry);
            after.push(fault.clone());
            (after, Ok(fault))
        })
    }

    /// Takes a fault away; says whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.change(|before| {
            let after: Table = before.iter().filter(|fault| *fault.plan.name != *name).cloned().collect();
            let removed = after.len() < before.len();
            (after, removed)
        })
    }

    /// Takes every fault away; says their names.
    pub fn clear(&self) -> Vec<Arc<str>> {
        self.change(|before| (Table::new(), before.iter().map(|fault| fault.plan.name.clone()).collect()))
    }

    /// Those that are set, ended ones of a while ago among them.
    pub fn list(&self) -> Vec<Arc<Fault>> {
        self.table.get().to_vec()
    }

    /// Those that are set; `None` where there are none.
    pub(super) fn any(&self) -> Option<Arc<Table>> {
        // A request that misses a change by a moment came a moment earlier.
        self.any.load(Ordering::Relaxed).then(|| self.table.get())
    }

    fn change<T>(&self, change: impl FnOnce(&Table) -> (Table, T)) -> T {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (after, told) = change(&self.table.get());
        let any = !after.is_empty();
        self.table.publish(Arc::new(after));
        self.any.store(any, Ordering::Relaxed);
        told
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decide::Permille;
    use crate::resilience::Injection;

    fn plan(name: &str, permille: u16) -> FaultPlan {
        FaultPlan {
            name: name.into(),
            routes: vec!["all".into()],
            lane: "gray".into(),
            share: Permille::new(permille).unwrap(),
            injection: Injection::Reset,
            expires: SystemTime::now() + Duration::from_secs(60),
            counts: false,
        }
    }

    fn names(faults: &Faults) -> Vec<String> {
        faults.list().iter().map(|fault| fault.plan.name.to_string()).collect()
    }

    fn faults() -> Faults {
        Faults::new(Arc::new(Telemetry::new(1)))
    }

    #[test]
    fn a_configuration_replaces_its_own_faults_and_leaves_those_by_hand() {
        let faults = faults();
        assert!(faults.any().is_none());
        faults.configure(&[plan("a", 100), plan("b", 100)]);
        faults.add(&plan("c", 100)).unwrap();
        faults.configure(&[plan("b", 200)]);
        assert_eq!(names(&faults), ["b", "c"]);
        faults.configure(&[plan("c", 1)]);
        assert_eq!(names(&faults), ["c"]);
        assert_eq!(faults.list()[0].origin, FaultOrigin::Configuration);
        faults.configure(&[]);
        assert!(faults.any().is_none());
    }

    #[test]
    fn a_fault_is_taken_away_at_once_whoever_set_it() {
        let faults = faults();
        faults.configure(&[plan("a", 100)]);
        faults.add(&plan("b", 100)).unwrap();
        assert!(faults.remove("a") && !faults.remove("a"));
        assert_eq!(names(&faults), ["b"]);
        assert_eq!(faults.clear(), [Arc::<str>::from("b")]);
        assert!(faults.any().is_none());
    }

    #[test]
    fn names_and_shares_are_given_once() {
        let faults = faults();
        faults.configure(&[plan("a", 600)]);
        assert!(matches!(faults.add(&plan("a", 1)), Err(AddFaultError::Taken(_))));
        assert!(matches!(faults.add(&plan("b", 401)), Err(AddFaultError::Crowded(_))));
        faults.add(&plan("b", 400)).unwrap();
        for number in 2..FaultPlan::MOST {
            faults.add(&plan(&format!("n{number}"), 0)).unwrap();
        }
        assert!(matches!(faults.add(&plan("c", 0)), Err(AddFaultError::TooMany)));
        assert_eq!(names(&faults).len(), FaultPlan::MOST);
    }

    #[test]
    fn an_ended_fault_is_off_and_gives_its_name_and_share_back() {
        let faults = faults();
        let past = FaultPlan { expires: SystemTime::now() - Duration::from_secs(1), ..plan("a", 1000) };
        faults.configure(std::slice::from_ref(&past));
        assert!(!faults.list()[0].is_on());
        assert!(faults.add(&plan("a", 1000)).unwrap().is_on());
        assert_eq!(names(&faults), ["a"]);
    }
}
