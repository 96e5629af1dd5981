//! Who of an upstream's addresses may be sent to: pure, and the same for all workers.
//!
//! Checks and ejections are judged here, each address by its own record ([`Checked`], [`Absence`]), and then together:
//! no more than the configured share may be ejected at once, and when too few are left that may be sent to, all are
//! (panic): a few endpoints that get everything would only follow the others.

use super::Address;
use super::ejection::Absence;
use super::health::Checked;
use super::moment::Moment;
use crate::config::{EndpointPolicy, Health};
use crate::telemetry::EndpointState;

/// The addresses of one upstream.
#[derive(Debug)]
pub(super) struct Roster {
    policy: EndpointPolicy,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    address: Address,
    joined: Moment,
    checked: Checked,
    absence: Absence,
}

/// What became of an ejection that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ejected {
    /// It is out for so long.
    For(std::time::Duration),
    /// It is out already, or no address of the upstream any more.
    Before,
    /// As many are out as may be.
    Capped,
}

impl Entry {
    fn open_from(&self) -> Moment {
        self.joined.max(self.checked.open_from()).max(self.absence.open_from())
    }
}

impl Roster {
    pub(super) fn new(policy: EndpointPolicy) -> Self {
        Self { policy, entries: Vec::new() }
    }

    /// Takes over a list of addresses; those that stay keep their record. Where there was none before, all are there
    /// from the start: nobody has to warm up beside others.
    pub(super) fn follow(&mut self, addresses: &[Address], now: Moment) {
        let joined = if self.entries.is_empty() { Moment::START } else { now };
        let mut old = std::mem::take(&mut self.entries);
        self.entries.extend(addresses.iter().map(
            |address| match old.iter().position(|entry| entry.address == *address) {
                Some(at) => old.swap_remove(at),
                None => {
                    let address = address.clone();
                    Entry { address, joined, checked: Checked::default(), absence: Absence::default() }
                }
            },
        ));
    }

    /// Takes in the result of a check; says the new verdict where it changes.
    pub(super) fn checked(&mut self, address: &Address, passed: bool, health: &Health, now: Moment) -> Option<bool> {
        let entry = self.entries.iter_mut().find(|entry| entry.address == *address)?;
        entry.checked.record(passed, health, now)
    }

    /// Takes an address out, if that many may be out.
    pub(super) fn eject(&mut self, address: &Address, now: Moment, draw: u64) -> Ejected {
        let Some(rule) = &self.policy.ejection else { return Ejected::Before };
        let out = self.entries.iter().filter(|entry| entry.absence.is_out(now)).count();
        let most = most_ejected(self.entries.len(), rule.share.get());
        match self.entries.iter_mut().find(|entry| entry.address == *address) {
            Some(entry) if !entry.absence.is_out(now) && out >= most => Ejected::Capped,
            Some(entry) => entry.absence.eject(rule, now, draw).map_or(Ejected::Before, Ejected::For),
            None => Ejected::Before,
        }
    }

    /// From when on requests may be sent to an address, panic aside.
    pub(super) fn open_from(&self, address: &Address) -> Moment {
        self.entries.iter().find(|entry| entry.address == *address).map_or(Moment::START, Entry::open_from)
    }

    /// How an address stands.
    pub(super) fn state(&self, address: &Address, now: Moment) -> EndpointState {
        match self.entries.iter().find(|entry| entry.address == *address) {
            Some(entry) if entry.checked.healthy() == Some(false) => EndpointState::Unhealthy,
            Some(entry) if entry.absence.is_out(now) => EndpointState::Ejected,
            Some(entry) if entry.checked.healthy().is_none() && self.policy.health.is_some() => {
                EndpointState::Unchecked
            }
            _ => EndpointState::Usable,
        }
    }

    /// Until when all are sent to because too few may be; [`Moment::START`] where enough may.
    pub(super) fn panic_until(&self, now: Moment) -> Moment {
        if !self.panics_at(now) {
            return Moment::START;
        }
        // Only ejections end by themselves.
        let mut ends: Vec<Moment> = self.entries.iter().map(Entry::open_from).filter(|end| *end > now).collect();
        ends.sort_unstable();
        ends.into_iter().find(|end| *end < Moment::NEVER && !self.panics_at(*end)).unwrap_or(Moment::NEVER)
    }

    fn panics_at(&self, now: Moment) -> bool {
        let usable = self.entries.iter().filter(|entry| entry.open_from() <= now).count();
        let all = self.entries.len();
        all > 0 && (usable == 0 || usable * 1000 < all * usize::from(self.policy.panic.get()))
    }
}

/// How many of `all` may be ejected at once: the share, but one where there is another; never the only one.
fn most_ejected(all: usize, permille: u16) -> usize {
    if all < 2 { 0 } else { (all * usize::from(permille) / 1000).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Ejection, Probe};
    use crate::decide::Permille;
    use proptest::prelude::*;
    use std::time::Duration;

    fn address(n: usize) -> Address {
        Address::Tcp(([127, 0, 0, 1], 9000 + n as u16).into())
    }

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn health() -> Health {
        Health { unhealthy_after: 1, healthy_after: 1, ..Health::new(Probe::Tcp) }
    }

    /// `count` addresses, of which `share` may be ejected, for 10 s at first.
    fn roster(count: usize, share: u16, panic: u16) -> Roster {
        let share = Permille::new(share).unwrap();
        let ejection = Ejection { share, base: Duration::from_secs(10), ..Ejection::default() };
        let panic = Permille::new(panic).unwrap();
        let mut roster = Roster::new(EndpointPolicy { ejection: Some(ejection), panic, ..EndpointPolicy::default() });
        roster.follow(&(0..count).map(address).collect::<Vec<_>>(), Moment::START);
        roster
    }

    #[test]
    fn no_more_than_the_share_is_out_at_once() {
        let mut roster = roster(5, 400, 0);
        assert_eq!(roster.eject(&address(0), at(0), 0), Ejected::For(Duration::from_secs(10)));
        assert_eq!(roster.eject(&address(0), at(1), 0), Ejected::Before);
        assert!(matches!(roster.eject(&address(1), at(5), 0), Ejected::For(_)));
        assert_eq!(roster.eject(&address(2), at(6), 0), Ejected::Capped);
        assert_eq!(roster.state(&address(1), at(6)), EndpointState::Ejected);
        assert_eq!(roster.state(&address(0), at(10)), EndpointState::Usable);
        assert!(matches!(roster.eject(&address(2), at(10), 0), Ejected::For(_)), "one has come back");
    }

    #[test]
    fn the_only_address_is_never_ejected_and_one_of_two_is_at_any_share() {
        assert_eq!(roster(1, 1000, 0).eject(&address(0), at(0), 0), Ejected::Capped);
        let mut two = roster(2, 10, 0);
        assert!(matches!(two.eject(&address(0), at(0), 0), Ejected::For(_)));
        assert_eq!(two.eject(&address(1), at(0), 0), Ejected::Capped);
        assert_eq!(two.eject(&address(7), at(0), 0), Ejected::Before, "it is none of them");
    }

    #[test]
    fn panic_begins_when_too_few_are_left_and_ends_with_the_ejection_that_caused_it() {
        let mut roster = roster(4, 1000, 500);
        for n in 0..2 {
            roster.eject(&address(n), at(n as u64), 0);
            assert_eq!(roster.panic_until(at(n as u64)), Moment::START, "half are left");
        }
        roster.eject(&address(2), at(4), 0);
        assert_eq!(roster.panic_until(at(4)), at(10), "the first comes back then");
        assert_eq!(roster.panic_until(at(10)), Moment::START);
    }

    #[test]
    fn panic_by_checks_lasts_until_a_check_passes() {
        let mut roster = roster(2, 500, 0);
        for n in 0..2 {
            assert_eq!(roster.checked(&address(n), false, &health(), at(1)), Some(false));
        }
        assert_eq!(roster.panic_until(at(1)), Moment::NEVER, "none is left, whatever the threshold");
        assert_eq!(roster.checked(&address(0), true, &health(), at(9)), Some(true));
        assert_eq!(roster.panic_until(at(9)), Moment::START);
        assert_eq!(roster.open_from(&address(0)), at(9));
        assert_eq!(roster.state(&address(1), at(9)), EndpointState::Unhealthy);
    }

    #[test]
    fn a_check_does_not_bring_back_what_requests_took_out() {
        let mut roster = roster(2, 500, 0);
        roster.eject(&address(0), at(0), 0);
        roster.checked(&address(0), true, &health(), at(1));
        assert_eq!(roster.open_from(&address(0)), at(10));
    }

    #[test]
    fn an_address_that_stays_keeps_its_record_and_a_new_one_warms_up() {
        let mut roster = roster(2, 500, 0);
        roster.eject(&address(1), at(5), 0);
        roster.follow(&[address(1), address(2)], at(6));
        assert_eq!(roster.open_from(&address(1)), at(15));
        assert_eq!(roster.open_from(&address(2)), at(6));
        roster.follow(&[], at(7));
        assert_eq!(roster.panic_until(at(7)), Moment::START, "without addresses there is nothing to use");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u64),
        Eject(usize),
        Check(usize, bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u64..30).prop_map(Step::Wait),
            (0usize..6).prop_map(Step::Eject),
            (0usize..6, any::<bool>()).prop_map(|(n, passed)| Step::Check(n, passed)),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn whatever_happens_the_cap_holds_and_panic_ends_when_it_says(
            count in 0usize..6, share in 1u16..=1000, panic in 0u16..=1000, steps in steps(), draw: u64,
        ) {
            let (mut roster, mut now) = (roster(count, share, panic), Moment::START);
            for step in steps {
                match step {
                    Step::Wait(seconds) => now = now.after(Duration::from_secs(seconds)),
                    Step::Eject(n) => { roster.eject(&address(n), now, draw); }
                    Step::Check(n, passed) => { roster.checked(&address(n), passed, &health(), now); }
                }
                let out = (0..count).filter(|n| now < roster.entries[*n].absence.open_from()).count();
                prop_assert!(out <= most_ejected(count, share));
                let until = roster.panic_until(now);
                prop_assert_eq!(now < until, roster.panics_at(now));
                prop_assert!(until == Moment::NEVER || !roster.panics_at(until.max(now)));
            }
        }
    }
}
