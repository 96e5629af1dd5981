//! What became of the visits: counts and latencies by lane, who was seen where, and whether anyone changed lane.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::shop::Edition;
use super::client::Failure;
use super::latency::Latency;
use super::visitors::{CROWD, Standing, Visitor};

/// Rate and percentiles are those of this many seconds.
const RECENT_SECONDS: usize = 10;
/// So many changes of lane are told one by one; the others are only counted.
const MAX_TOLD_CHANGES: u64 = 5;

/// What became of one visit.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A good answer of this version.
    Served {
        edition: Edition,
        latency: Duration,
    },
    Trouble(Trouble),
}

/// A visit without a good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Trouble {
    Connect,
    Timeout,
    Lost,
    Unreadable,
    Status(u16),
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Trouble {
        match failure {
            Failure::Connect(_) => Trouble::Connect,
            Failure::Timeout => Trouble::Timeout,
            Failure::Lost(_) => Trouble::Lost,
            Failure::Unreadable(_) => Trouble::Unreadable,
        }
    }
}

/// A visitor who saw both lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Change {
    pub(in super::super) user_id: String,
    pub(in super::super) from: Edition,
    pub(in super::super) to: Edition,
}

/// The running count. Its size is bounded by the crowd and by the status codes there are.
#[derive(Debug)]
pub(super) struct Tally {
    /// The lane each visitor saw last on a route of the release, by the visitor's number.
    seen: Vec<Option<Edition>>,
    ramp_users: u64,
    ramp_gray: u64,
    /// Good answers on routes of the release, by lane.
    released: [u64; 2],
    total: [Latency; 2],
    answers: [u64; 2],
    recent: VecDeque<Second>,
    troubles: BTreeMap<Trouble, u64>,
    unsent: u64,
    changes: u64,
    untold: Vec<Change>,
}

/// The good answers of one second.
#[derive(Debug)]
struct Second {
    latency: [Latency; 2],
    answers: u64,
}

impl Second {
    fn new() -> Second {
        Second { latency: [Latency::new(), Latency::new()], answers: 0 }
    }
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            seen: vec![None; CROWD],
            ramp_users: 0,
            ramp_gray: 0,
            released: [0; 2],
            total: [Latency::new(), Latency::new()],
            answers: [0; 2],
            recent: VecDeque::from([Second::new()]),
            troubles: BTreeMap::new(),
            unsent: 0,
            changes: 0,
            untold: Vec::new(),
        }
    }

    /// Counts a visit; `released` says that its route carries the release, so that its lane counts.
    pub(super) fn record(&mut self, visitor: &Visitor, released: bool, outcome: Outcome) {
        match outcome {
            Outcome::Trouble(trouble) => *self.troubles.entry(trouble).or_default() += 1,
            Outcome::Served { edition, latency } => {
                self.answers[edition as usize] += 1;
                self.total[edition as usize].record(latency);
                if let Some(second) = self.recent.back_mut() {
                    second.answers += 1;
                    second.latency[edition as usize].record(latency);
                }
                if released {
                    self.released[edition as usize] += 1;
                    self.saw(visitor, edition);
                }
            }
        }
    }

    /// Counts visits that were due but not made.
    pub(super) fn unsent(&mut self, visits: u64) {
        self.unsent += visits;
    }

    fn saw(&mut self, visitor: &Visitor, lane: Edition) {
        let Some(seen) = self.seen.get_mut(visitor.number) else { return };
        let before = seen.replace(lane);
        let is_ramp = visitor.standing() == Standing::Ramp;
        match before {
            None if is_ramp => {
                self.ramp_users += 1;
                self.ramp_gray += u64::from(lane == Edition::Gray);
            }
            Some(from) if from != lane => {
                if is_ramp {
                    // Whoever changed counts as what she sees now.
                    match lane {
                        Edition::Gray => self.ramp_gray += 1,
                        Edition::Stable => self.ramp_gray -= 1,
                    }
                }
                self.changes += 1;
                if self.changes <= MAX_TOLD_CHANGES {
                    self.untold.push(Change { user_id: visitor.user_id.clone(), from, to: lane });
                }
            }
            _ => {}
        }
    }

    /// The state at the end of a second; the next one begins.
    pub(super) fn turn(&mut self) -> Report {
        let seconds = self.recent.len().max(1) as f64;
        let rate = self.recent.iter().map(|second| second.answers).sum::<u64>() as f64 / seconds;
        let mut latency = [Latency::new(), Latency::new()];
        for second in &self.recent {
            for (sum, part) in latency.iter_mut().zip(&second.latency) {
                sum.add(part);
            }
        }
        let oldest = if self.recent.len() == RECENT_SECONDS { self.recent.pop_front() } else { None };
        let mut next = oldest.unwrap_or_else(Second::new);
        next.answers = 0;
        next.latency.iter_mut().for_each(Latency::clear);
        self.recent.push_back(next);
        Report {
            rate,
            percentiles: latency.map(|latency| Percentiles::of(&latency)),
            ramp: self.ramp(),
            errors: self.errors(),
            unsent: self.unsent,
            changes: self.changes,
            new_changes: std::mem::take(&mut self.untold),
        }
    }

    /// The state over the whole time.
    pub(super) fn sum(&self) -> Sum {
        Sum {
            answers: self.answers,
            released: self.released,
            percentiles: self.total.each_ref().map(Percentiles::of),
            ramp: self.ramp(),
            visitors: self.seen.iter().flatten().count() as u64,
            troubles: self.troubles.clone(),
            errors: self.errors(),
            unsent: self.unsent,
            changes: self.changes,
        }
    }

    fn ramp(&self) -> Ramp {
        Ramp { users: self.ramp_users, gray: self.ramp_gray }
    }

    fn errors(&self) -> u64 {
        self.troubles.values().sum()
    }
}

/// The median and the 99th percentile; none without records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Percentiles {
    pub(in super::super) p50: Option<Duration>,
    pub(in super::super) p99: Option<Duration>,
}

impl Percentiles {
    fn of(latency: &Latency) -> Percentiles {
        Percentiles { p50: latency.quantile(0.5), p99: latency.quantile(0.99) }
    }
}

/// The visitors on whom the bucket alone decides, as far as they were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Ramp {
    pub(in super::super) users: u64,
    pub(in super::super) gray: u64,
}

impl Ramp {
    /// The share of gray, in percent; none as long as nobody was seen.
    pub(in super::super) fn percent(self) -> Option<f64> {
        (self.users > 0).then(|| self.gray as f64 * 100.0 / self.users as f64)
    }
}

/// The last seconds. Arrays are by lane: stable, gray.
#[derive(Debug)]
pub(in super::super) struct Report {
    /// Good answers per second.
    pub(in super::super) rate: f64,
    pub(in super::super) percentiles: [Percentiles; 2],
    pub(in super::super) ramp: Ramp,
    pub(in super::super) errors: u64,
    pub(in super::super) unsent: u64,
    pub(in super::super) changes: u64,
    /// Those that are to be told now.
    pub(in super::super) new_changes: Vec<Change>,
}

/// The whole time. Arrays are by lane: stable, gray.
#[derive(Debug)]
pub(in super::super) struct Sum {
    pub(in super::super) answers: [u64; 2],
    pub(in super::super) released: [u64; 2],
    pub(in super::super) percentiles: [Percentiles; 2],
    pub(in super::super) ramp: Ramp,
    pub(in super::super) visitors: u64,
    pub(in super::super) troubles: BTreeMap<Trouble, u64>,
    pub(in super::super) errors: u64,
    pub(in super::super) unsent: u64,
    pub(in super::super) changes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(edition: Edition, ms: u64) -> Outcome {
        Outcome::Served { edition, latency: Duration::from_millis(ms) }
    }

    fn visitor(standing: Standing) -> Visitor {
        (0..CROWD).map(Visitor::new).find(|visitor| visitor.standing() == standing).unwrap()
    }

    #[test]
    fn the_share_is_of_users_whom_the_bucket_decides_on() {
        let mut tally = Tally::new();
        let crowd: Vec<_> = (0..CROWD).map(Visitor::new).filter(|v| v.standing() == Standing::Ramp).collect();
        for (index, visitor) in crowd[..10].iter().enumerate() {
            let lane = if index == 4 { Edition::Gray } else { Edition::Stable };
            for _ in 0..=index {
                tally.record(visitor, true, served(lane, 1));
            }
        }
        tally.record(&visitor(Standing::Region), true, served(Edition::Gray, 1));
        tally.record(&visitor(Standing::Excluded), true, served(Edition::Stable, 1));
        tally.record(&crowd[20], false, served(Edition::Stable, 1));
        let sum = tally.sum();
        assert_eq!(sum.ramp, Ramp { users: 10, gray: 1 });
        assert_eq!(sum.ramp.percent(), Some(10.0));
        assert_eq!((sum.visitors, sum.changes), (12, 0));
        assert_eq!((sum.answers, sum.released), ([52, 6], [51, 6]));
    }

    #[test]
    fn a_visitor_who_changes_lane_is_told_and_then_only_counted() {
        let mut tally = Tally::new();
        let visitor = visitor(Standing::Ramp);
        tally.record(&visitor, true, served(Edition::Stable, 1));
        // A route without the release has one lane: no change.
        tally.record(&visitor, false, served(Edition::Gray, 1));
        assert!(tally.turn().new_changes.is_empty());
        tally.record(&visitor, true, served(Edition::Gray, 1));
        let told = tally.turn().new_changes;
        let expected = Change { user_id: visitor.user_id.clone(), from: Edition::Stable, to: Edition::Gray };
        assert_eq!(told, [expected]);
        assert_eq!(tally.sum().ramp, Ramp { users: 1, gray: 1 });
        for _ in 0..10 {
            tally.record(&visitor, true, served(Edition::Stable, 1));
            tally.record(&visitor, true, served(Edition::Gray, 1));
        }
        let report = tally.turn();
        assert_eq!((report.new_changes.len() as u64, report.changes), (MAX_TOLD_CHANGES - 1, 21));
    }

    #[test]
    fn a_report_is_about_the_last_seconds_and_the_sum_about_all() {
        let mut tally = Tally::new();
        let visitor = visitor(Standing::Ramp);
        tally.record(&visitor, true, served(Edition::Stable, 500));
        tally.record(&visitor, true, Outcome::Trouble(Trouble::Status(502)));
        tally.unsent(3);
        let first = tally.turn();
        assert_eq!((first.rate, first.errors, first.unsent), (1.0, 1, 3));
        assert!(first.percentiles[0].p99.unwrap() >= Duration::from_millis(500));
        assert_eq!(first.percentiles[1].p50, None);
        for _ in 0..RECENT_SECONDS {
            tally.record(&visitor, true, served(Edition::Stable, 1));
            tally.turn();
        }
        tally.record(&visitor, true, served(Edition::Stable, 1));
        let last = tally.turn();
        assert_eq!(last.rate, 1.0);
        assert!(last.percentiles[0].p99.unwrap() < Duration::from_millis(2));
        assert!(tally.sum().percentiles[0].p99.unwrap() >= Duration::from_millis(500));
    }
}
