//! What came of a replay.

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::blocks::End;
use super::distinct::Distinct;
use super::run::Plan;
use super::tally::{Counts, Skip, Tally, Way};
use crate::config::Settings;

/// What a log's requests would do under another configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Every request that could be read.
    pub seen: Counted,
    /// Those that change lane.
    pub changed: Counted,
    /// Requests that keep their lane.
    pub unchanged: u64,
    /// Requests of which the log does not tell enough.
    pub undecided: u64,
    /// Lines that are no requests.
    pub unreadable: u64,
    /// The changes, the most requests first.
    pub moves: Vec<Move>,
    /// Why requests were not decidable.
    pub undecided_kinds: Vec<Skipped>,
    /// Why lines were not readable.
    pub unreadable_kinds: Vec<Skipped>,
    /// Requests that the first configuration puts on another lane than the log says: it is not the one that the log was
    /// written under.
    pub unlike_log: Option<Skipped>,
    /// The standard error of the distinct counts beyond 1024, as a share.
    pub distinct_standard_error: f64,
    /// The logs.
    pub inputs: Vec<InputReport>,
}

/// Requests, and what they were about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// How many.
    pub requests: u64,
    /// Different keys that are hashed into buckets: users, and devices where there is no user or where releases hash devices.
    pub users: u64,
    /// Different SKUs.
    pub skus: u64,
    /// Different categories.
    pub categories: u64,
    /// The sum of `order_amount` in whole units, whatever unit requests carry.
    #[serde(serialize_with = "as_text")]
    pub amount: Decimal,
}

/// Requests that change from one lane to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The route before.
    pub route_from: Option<String>,
    /// The route after.
    pub route_to: Option<String>,
    /// Its release before.
    pub release_from: Option<String>,
    /// Its release after.
    pub release_to: Option<String>,
    /// The lane before; `none` where no route takes the request.
    pub from: String,
    /// The lane after.
    pub to: String,
    /// How many, and what they were about.
    #[serde(flatten)]
    pub counted: Counted,
}

/// Lines that do not count, of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The kind, a stable word.
    pub kind: String,
    /// Why, in words; of the first where it varies.
    pub reason: String,
    /// How many.
    pub lines: u64,
    /// The first of them.
    pub first: First,
}

/// A line to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct First {
    /// The log.
    pub input: String,
    /// The line, from 1.
    pub line: u64,
    /// How it begins, escaped for a terminal.
    pub text: String,
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputReport {
    /// Its name.
    pub name: String,
    /// Its lines, as far as it could be read.
    pub lines: u64,
    /// Why it could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Report {
    pub(super) fn new(plan: &Plan<'_>, tally: &Tally<'_>, ends: Vec<(String, End)>) -> Report {
        let skipped = |kind: &str, skip: &Skip| Skipped {
            kind: kind.to_owned(),
            reason: skip.reason.clone(),
            lines: skip.lines,
            first: First {
                input: ends.get(skip.first.input).map_or_else(String::new, |(name, _)| name.clone()),
                line: skip.first.line,
                text: skip.shown.clone(),
            },
        };
        let mut moves: Vec<Move> = tally.ways.iter().map(|(way, counts)| movement(plan, *way, counts)).collect();
        moves.sort_by(|one, other| {
            let most = other.counted.requests.cmp(&one.counted.requests);
            most.then_with(|| {
                (&one.route_from, &one.route_to, &one.from, &one.to).cmp(&(
                    &other.route_from,
                    &other.route_to,
                    &other.from,
                    &other.to,
                ))
            })
        });
        let undecided = tally.undecided.values().map(|skip| skip.lines).sum();
        Report {
            seen: Counted::of(&tally.seen),
            changed: Counted::of(&tally.changed),
            unchanged: tally.seen.requests.saturating_sub(tally.changed.requests + undecided),
            undecided,
            unreadable: tally.unreadable.values().map(|skip| skip.lines).sum(),
            moves,
            undecided_kinds: tally.undecided.iter().map(|(why, skip)| skipped(why.kind(), skip)).collect(),
            unreadable_kinds: tally.unreadable.iter().map(|((kind, _), skip)| skipped(kind, skip)).collect(),
            unlike_log: tally.unlike_log.as_ref().map(|skip| skipped("unlike_log", skip)),
            distinct_standard_error: Distinct::STANDARD_ERROR,
            inputs: ends
                .iter()
                .map(|(name, end)| InputReport { name: name.clone(), lines: end.lines, problem: end.problem.clone() })
                .collect(),
        }
    }
}

impl Counted {
    fn of(counts: &Counts) -> Counted {
        // Each request is by one user and about one SKU, whatever an estimate says.
        let at_most = |estimate: u64| estimate.min(counts.requests);
        Counted {
            requests: counts.requests,
            users: at_most(counts.users.count()),
            skus: at_most(counts.skus.count()),
            categories: at_most(counts.categories.count()),
            amount: counts.amount,
        }
    }
}

fn movement(plan: &Plan<'_>, way: Way, counts: &Counts) -> Move {
    let (route_from, release_from, from) = end(plan.from, way.from);
    let (route_to, release_to, to) = end(plan.to, way.to);
    Move { route_from, route_to, release_from, release_to, from, to, counted: Counted::of(counts) }
}

/// The names of route, release and lane.
fn end(settings: &Settings, (route, lane): (Option<u16>, Option<u8>)) -> (Option<String>, Option<String>, String) {
    let program = &settings.program;
    let route = route.and_then(|route| program.routes().get(usize::from(route)));
    let release = route.and_then(|route| route.release).map(|release| program.release(release).name.clone());
    let lane = lane.and_then(|lane| program.lanes().iter().nth(usize::from(lane)));
    let lane = lane.map_or("none", |(_, name)| name).to_owned();
    (route.map(|route| route.name.clone()), release, lane)
}

fn as_text<S: Serializer>(amount: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}
