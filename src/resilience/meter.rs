//! A window over a lane that nothing is taken out by: figures for those who want some where there is no breaker.

use std::sync::Arc;

use super::bell::Bell;
use super::breaker::Plan;
use super::outcome::Outcome;
use super::tick::Tick;
use super::window::{Merged, Recorder, Rest, Window};

/// What workers hold of a metered lane.
#[derive(Debug)]
pub struct Meter(Recorder);

/// What the merger holds of it.
#[derive(Debug)]
pub struct MeterWatch {
    meter: Arc<Meter>,
    window: Window,
    plan: Arc<Plan>,
}

/// A meter for so many workers, with the windows and the slow limit of a breaker's plan. `bell` is as with
/// [`guarded_with`](super::guarded_with).
pub fn metered(plan: impl Into<Arc<Plan>>, workers: usize, now: Tick, bell: Bell) -> (Arc<Meter>, MeterWatch) {
    let plan = plan.into();
    let meter = Arc::new(Meter(Recorder::new(workers, plan.limits(), bell)));
    let window = Window::new(workers, plan.timing().window, plan.timing().short_window, now);
    (meter.clone(), MeterWatch { meter, window, plan })
}

impl Meter {
    /// A call that went to the lane has ended; as with [`Guard::record`](super::Guard::record).
    ///
    /// # Panics
    ///
    /// Where `worker` is not below the number that the meter was made for.
    #[inline]
    pub fn record(&self, worker: usize, outcome: Outcome, began: Tick, ended: Tick) {
        self.0.record(worker, outcome, began, ended);
    }
}

impl MeterWatch {
    /// Takes in what the workers recorded. To be called every [`MERGE_EVERY`](super::MERGE_EVERY), unless it rests.
    pub fn tick(&mut self, now: Tick) {
        self.window.merge(&self.meter.0, now);
    }

    /// How long ticks may be left out.
    pub fn rest(&self) -> Rest {
        self.window.rest(&self.meter.0)
    }

    /// What rings when a sleep ends.
    pub fn bell(&self) -> &Bell {
        self.meter.0.bell()
    }

    /// The figures of both windows at the last tick.
    pub fn merged(&self) -> Merged {
        self.window.merged()
    }

    /// The plan that its windows are of.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Empties the windows; calls that began before `now` do not count any more.
    pub fn start_over(&mut self, now: Tick) {
        self.window.start_over(&self.meter.0, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::bell::BellMaker;
    use crate::resilience::tests::at;

    #[test]
    fn a_meter_has_the_figures_of_its_window_and_starts_over() {
        let (meter, mut watch) = metered(Plan::DEFAULT, 2, Tick::START, BellMaker::default().bell());
        meter.record(0, Outcome::Failure, at(0), at(100));
        meter.record(1, Outcome::Success, at(0), at(300));
        watch.tick(at(400));
        let figures = watch.merged().long;
        assert_eq!((figures.finished, figures.failures), (2, 1));
        assert_eq!(figures.mean().map(|mean| mean.as_millis()), Some(200));
        watch.start_over(at(500));
        meter.record(0, Outcome::Failure, at(499), at(510));
        watch.tick(at(600));
        assert_eq!(watch.merged(), Merged::default());
    }

    #[test]
    fn the_default_plan_is_one_that_could_be_configured() {
        let plan = Plan::DEFAULT;
        assert_eq!(Plan::new(*plan.thresholds(), *plan.timing()), Ok(plan));
    }
}
