//! One thread reads, the others decide.

use std::io::Read;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::blocks::{self, Block, End};
use super::facts::Side;
use super::fields::{Fields, Format};
use super::judge::{Goods, Placed, place};
use super::line::{self, Line, Unreadable};
use super::report::Report;
use super::tally::{Place, Skip, Tally, Way, skip};
use crate::config::Settings;
use crate::decide::NormalPath;

/// Blocks that may wait for a thread: enough that none waits for the reader, few enough to be a few megabytes.
const WAITING: usize = 8;

/// What is compared, and how the log is written.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'p> {
    /// The configuration that is.
    pub from: &'p Settings,
    /// The one that is to be.
    pub to: &'p Settings,
    /// How the log is written.
    pub format: Format,
    /// Where it has what.
    pub fields: &'p Fields,
    /// The host of every request, where the log holds none.
    pub host: Option<&'p str>,
    /// How many threads decide.
    pub threads: NonZeroUsize,
}

/// One log. What begins like gzip is read as gzip.
pub struct Input {
    /// As it is to be named in the report.
    pub name: String,
    /// Its bytes.
    pub reader: Box<dyn Read>,
}

/// Replays the logs, one after another. `progress` hears how many bytes of all inputs are done.
pub fn run(plan: &Plan<'_>, inputs: Vec<Input>, progress: &dyn Fn(u64)) -> Report {
    let (from, to) = (Side::new(plan.from), Side::new(plan.to));
    let (give, blocks) = sync_channel::<Block>(WAITING);
    let blocks = Mutex::new(blocks);
    let mut ends: Vec<(String, End)> = Vec::new();
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let deciders: Vec<_> =
            (0..plan.threads.get()).map(|_| scope.spawn(|| decide(plan, &from, &to, &blocks))).collect();
        let mut before = 0;
        for (place, input) in inputs.into_iter().enumerate() {
            let done = std::cell::Cell::new(0);
            let end = blocks::read(place, input.reader, &mut |block| give.send(block).is_ok(), &|bytes| {
                done.set(bytes);
                progress(before + bytes);
            });
            before += done.get();
            ends.push((input.name, end));
        }
        drop(give);
        for decider in deciders {
            match decider.join() {
                Ok(part) => tally.merge(part),
                // A panic of a thread is one of the whole.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    Report::new(plan, &tally, ends)
}

/// Takes blocks until there are no more.
fn decide<'s>(plan: &Plan<'_>, from: &'s Side<'s>, to: &'s Side<'s>, blocks: &Mutex<Receiver<Block>>) -> Tally<'s> {
    let mut tally = Tally::default();
    loop {
        let block = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(block) = block else { return tally };
        let lines = block.bytes.split_inclusive(|byte| *byte == b'\n');
        for (number, bytes) in (block.first_line..).zip(lines) {
            let at = Place { input: block.input, line: number };
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if !bytes.is_empty() {
                one(plan, from, to, bytes, at, &mut tally);
            }
        }
    }
}

/// One line.
pub(super) fn one<'s>(
    plan: &Plan<'_>,
    from: &'s Side<'s>,
    to: &'s Side<'s>,
    bytes: &[u8],
    at: Place,
    tally: &mut Tally<'s>,
) {
    let mut line = match line::read(bytes, plan.format, plan.fields) {
        Ok(line) => line,
        Err(error) => {
            skip(&mut tally.unreadable, (error.kind(), error.which()), || Skip::new(at, error.to_string(), bytes));
            return;
        }
    };
    if let (Some(host), line::Known::Unknown) = (plan.host, &line.host) {
        line.host = line::Known::Value(host.into());
    }
    if let Some(error) = no_request(&line, [from, to]) {
        skip(&mut tally.unreadable, (error.kind(), error.which()), || Skip::new(at, error.to_string(), bytes));
        return;
    }
    line.settle(|fact| from.is_always_read(fact));
    let mut goods = Goods::default();
    // Where one cannot tell, the other may still know what the request was about.
    let (after, before) = (place(to, &line, &mut goods), place(from, &line, &mut goods));
    goods.read_line(&line);
    tally.seen.add(&goods);
    let (before, after) = match (before, after) {
        (Ok(before), Ok(after)) => (before, after),
        (_, Err(why)) | (Err(why), _) => {
            let reason = why.in_words();
            skip(&mut tally.undecided, why, || Skip::new(at, reason, bytes));
            return;
        }
    };
    if is_unlike_log(from, &before, &line) {
        tally.unlike(|| Skip::new(at, String::from("the log says another lane"), bytes));
    }
    if from.lane(&before) != to.lane(&after) {
        tally.changed.add(&goods);
        tally.ways.entry(Way::of(&before, &after)).or_default().add(&goods);
    }
}

/// Why a line of a foreign log is no request that either configuration would take: it would be answered with 400. Our own log
/// has such requests, and says so itself.
fn no_request(line: &Line<'_>, sides: [&Side<'_>; 2]) -> Option<Unreadable> {
    let is_own = line.buckets.is_some();
    let is_taken = |side: &Side<'_>| NormalPath::new(&line.path, side.allow).is_ok();
    (!is_own && !sides.into_iter().any(is_taken)).then_some(Unreadable::NoRequest("the path would be refused"))
}

/// Whether the first configuration cannot be the one that the log was written under.
fn is_unlike_log(from: &Side<'_>, placed: &Placed, line: &Line<'_>) -> bool {
    let Some(decided) = line.decided.as_ref().filter(|decided| !decided.diverted) else { return false };
    from.lane(placed).is_none_or(|lane| lane != decided.lane)
}
