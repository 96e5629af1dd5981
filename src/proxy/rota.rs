//! Whom the merger visits: those who were called, those whose windows turn, and those who are being judged by time. Of ten thousand
//! routes most have no calls most of the time, and cost nothing then.

use std::collections::HashMap;

use crate::resilience::{Belfry, Bell, Rest, Tick};

/// Who is awake, by places in a list that the rota was made of.
#[derive(Default)]
pub(super) struct Rota {
    words: Vec<Word>,
    /// In order.
    awake: Vec<usize>,
    is_awake: Vec<bool>,
    /// When somebody at this place is to be visited though nobody called.
    alarms: Vec<Option<Tick>>,
    /// Not after the first of the alarms.
    first_alarm: Option<Tick>,
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
        let (awake, is_awake) = ((0..count).collect(), vec![true; count]);
        Self { words, awake, is_awake, alarms: vec![None; count], first_alarm: None }
    }

    /// Visits all who are awake, in order; whoever answers that he rests is left alone for so long.
    pub(super) fn go_round(&mut self, now: Tick, mut visit: impl FnMut(usize) -> Rest) {
        self.wake(now);
        let Self { awake, is_awake, alarms, first_alarm, .. } = self;
        awake.retain(|&place| {
            let rest = visit(place);
            is_awake[place] = rest == Rest::None;
            alarms[place] = match rest {
                Rest::Until(alarm) => Some(alarm),
                Rest::None | Rest::UntilCalled => None,
            };
            *first_alarm = first_alarm.iter().copied().chain(alarms[place]).min();
            is_awake[place]
        });
    }

    /// How long nobody is to be visited, unless somebody rings.
    pub(super) fn rest(&self) -> Rest {
        match self.first_alarm {
            _ if !self.awake.is_empty() => Rest::None,
            Some(alarm) => Rest::Until(alarm),
            None => Rest::UntilCalled,
        }
    }

    fn wake(&mut self, now: Tick) {
        let before = self.awake.len();
        let Self { words, awake, is_awake, alarms, first_alarm } = self;
        let mut rouse = |place: usize| {
            if !std::mem::replace(&mut is_awake[place], true) {
                awake.push(place);
            }
        };
        for word in words {
            let mut rung = word.belfry.rung();
            while rung != 0 {
                let owner = word.owners[rung.trailing_zeros() as usize];
                rung &= rung - 1;
                // The bell of a breaker that was let go may still ring.
                if let Some(place) = owner {
                    rouse(place as usize);
                }
            }
        }
        if first_alarm.is_some_and(|first| first <= now) {
            for (place, alarm) in alarms.iter_mut().enumerate() {
                if alarm.take_if(|alarm| *alarm <= now).is_some() {
                    rouse(place);
                }
            }
            *first_alarm = alarms.iter().flatten().min().copied();
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
            self.rota.go_round(at(now), |place| {
                visited.push(place);
                watches[place].tick(at(now));
                watches[place].rest()
            });
            visited
        }

        fn call(&self, place: usize, worker: usize, outcome: Outcome, now: u64) {
            self.guards[place].record(worker, None, outcome, at(now), at(now + 1));
        }
    }

    #[test]
    fn only_lanes_that_were_called_or_whose_windows_turn_are_visited() {
        let mut fixture = Fixture::new(200);
        assert_eq!(fixture.rota.rest(), Rest::None);
        assert_eq!(fixture.visited(25).len(), 200);
        assert_eq!(fixture.rota.rest(), Rest::UntilCalled);
        assert_eq!(fixture.visited(50), [0; 0]);
        fixture.call(150, 0, Outcome::Success, 60);
        fixture.call(3, 1, Outcome::Success, 60);
        assert_eq!(fixture.visited(75), [3, 150]);
        assert_eq!(fixture.watches[150].merged().long.finished, 1);
        assert_eq!(fixture.visited(100), [0; 0]);
        fixture.call(150, 1, Outcome::Failure, 110);
        assert_eq!(fixture.visited(125), [150]);
        assert_eq!(fixture.watches[150].merged().short.failures, 1);
        assert_eq!(fixture.rota.rest(), Rest::Until(at(1000)));
        assert_eq!(fixture.visited(999), [0; 0]);
        assert_eq!(fixture.visited(1000), [3, 150], "a slice of a second is over");
        fixture.call(3, 0, Outcome::Success, 30_000);
        assert_eq!(fixture.visited(30_000), [3, 150]);
        assert_eq!(fixture.watches[3].merged().long.finished, 2);
        assert_eq!(fixture.visited(60_000), [3, 150]);
        assert_eq!(fixture.visited(62_999), [0; 0]);
        assert_eq!(fixture.visited(63_000), [3], "the other's window is empty");
        assert_eq!(fixture.visited(100_000), [3]);
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
