//! Whom the merger visits: those who are awake, and those whose bell rang. Of ten thousand routes most have no calls most of the
//! time, and cost nothing then.

use std::collections::HashMap;

use crate::resilience::{Belfry, Bell};

/// Who is awake, by places in a list that the rota was made of.
#[derive(Default)]
pub(super) struct Rota {
    words: Vec<Word>,
    /// In order.
    awake: Vec<usize>,
    is_awake: Vec<bool>,
}

/// A word of bells.
struct Word {
    belfry: Belfry,
    /// Who has the bell at this place, if anybody is left.
    owners: [Option<u32>; 64],
}

impl Rota {
    /// Everybody is awake at first. The list is that of their bells.
    pub(super) fn of<'b>(bells: impl Iterator<Item = &'b Bell>) -> Self {
        let mut words: Vec<Word> = Vec::new();
        let mut known: HashMap<usize, usize> = HashMap::new();
        let mut count = 0;
        for (place, bell) in bells.enumerate() {
            let at = *known.entry(bell.word()).or_insert_with(|| {
                words.push(Word { belfry: bell.belfry(), owners: [None; 64] });
                words.len() - 1
            });
            words[at].owners[bell.at() as usize] = u32::try_from(place).ok();
            count = place + 1;
        }
        Self { words, awake: (0..count).collect(), is_awake: vec![true; count] }
    }

    /// Visits all who are awake, in order; who answers that he sleeps is left alone until his bell rings.
    pub(super) fn go_round(&mut self, mut visit: impl FnMut(usize) -> bool) {
        self.wake();
        let is_awake = &mut self.is_awake;
        self.awake.retain(|place| {
            is_awake[*place] = !visit(*place);
            is_awake[*place]
        });
    }

    fn wake(&mut self) {
        let before = self.awake.len();
        for word in &self.words {
            let mut rung = word.belfry.rung();
            while rung != 0 {
                let owner = word.owners[rung.trailing_zeros() as usize];
                rung &= rung - 1;
                // The bell of a breaker that was let go may still ring.
                let Some(place) = owner.map(|owner| owner as usize) else { continue };
                if !std::mem::replace(&mut self.is_awake[place], true) {
                    self.awake.push(place);
                }
            }
        }
        if self.awake.len() > before {
            self.awake.sort_unstable();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::{BellMaker, Guard, Outcome, Plan, State, Tick, Watch, guarded_with};
    use std::sync::Arc;
    use std::time::Duration;

    fn at(millis: u64) -> Tick {
        Tick::after_start(Duration::from_millis(millis))
    }

    struct Fixture {
        guards: Vec<Arc<Guard>>,
        watches: Vec<Watch>,
        rota: Rota,
    }

    impl Fixture {
        fn new(count: usize) -> Self {
            let mut bells = BellMaker::default();
            let made = (0..count).map(|_| guarded_with(Plan::DEFAULT, 2, 7, Tick::START, bells.bell()));
            let (guards, watches): (Vec<_>, Vec<_>) = made.unzip();
            let rota = Rota::of(watches.iter().map(Watch::bell));
            Self { guards, watches, rota }
        }

        fn visited(&mut self, now: u64) -> Vec<usize> {
            let (mut visited, watches) = (Vec::new(), &mut self.watches);
            self.rota.go_round(|place| {
                visited.push(place);
                watches[place].tick(at(now));
                watches[place].sleeps()
            });
            visited
        }

        fn call(&self, place: usize, worker: usize, outcome: Outcome, now: u64) {
            self.guards[place].record(worker, None, outcome, at(now), at(now + 1));
        }
    }

    #[test]
    fn only_lanes_with_calls_in_their_windows_are_visited() {
        let mut fixture = Fixture::new(200);
        assert_eq!(fixture.visited(25).len(), 200);
        assert_eq!(fixture.visited(50), [0; 0]);
        fixture.call(150, 0, Outcome::Success, 60);
        fixture.call(3, 1, Outcome::Success, 60);
        assert_eq!(fixture.visited(75), [3, 150]);
        assert_eq!(fixture.watches[150].merged().long.finished, 1);
        fixture.call(3, 0, Outcome::Success, 30_000);
        assert_eq!(fixture.visited(30_000), [3, 150]);
        assert_eq!(fixture.watches[3].merged().long.finished, 2);
        fixture.visited(60_000);
        assert_eq!(fixture.visited(60_025), [3], "the other's window is empty");
        fixture.visited(100_000);
        assert_eq!(fixture.visited(100_025), [0; 0]);
        fixture.call(3, 0, Outcome::Cancelled, 100_030);
        assert_eq!(fixture.visited(100_050), [3]);
    }

    #[test]
    fn a_breaker_that_wakes_opens_at_the_next_visit_and_is_visited_until_it_has_closed_for_a_while() {
        let mut fixture = Fixture::new(70);
        fixture.visited(25);
        assert_eq!(fixture.visited(50), [0; 0]);
        (0..50).for_each(|call| fixture.call(66, call % 2, Outcome::Failure, 60));
        assert_eq!(fixture.visited(75), [66]);
        assert_eq!(fixture.watches[66].state(), State::Open);
        for now in (100..200_000).step_by(25) {
            assert_eq!(fixture.visited(now), [66], "its time has to pass without a call");
        }
        assert_eq!(fixture.watches[66].state(), State::HalfOpen);
    }

    #[test]
    fn no_call_is_lost_between_a_last_look_and_a_sleep() {
        let mut fixture = Fixture::new(1);
        let calls = 200_000_u64;
        let guard = fixture.guards[0].clone();
        let counted = std::thread::scope(|scope| {
            let worker = scope.spawn(move || {
                for call in 0..calls {
                    guard.record(0, None, Outcome::Success, at(0), at(1));
                    if call % 64 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
            // Every visit finds the windows emptied by time, so one without new calls ends in a sleep.
            let (mut now, mut counted, mut is_last) = (0, 0, false);
            loop {
                now += 70_000;
                fixture.visited(now);
                counted += fixture.watches[0].merged().long.finished;
                if is_last {
                    return counted;
                }
                is_last = worker.is_finished();
            }
        });
        assert_eq!(counted, calls);
    }
}
