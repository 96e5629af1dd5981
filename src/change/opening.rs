//! Whom a release lets into gray, as far as the configuration alone can say.
//!
//! A user of a release has one place of the thousand under each salt: that of the release, and that of its experiment.
//! Places under two salts are independent, so a thousand places of each make a grid, and how many of its cells move is
//! counted, not estimated. Whether a user meets conditions or lies in a region is not known here; what depends on it
//! gives a bound.

use std::collections::BTreeMap;

use crate::decide::{Ab, HashKey, Level, Regions, Release};

/// The places a salt spreads users over.
const PLACES: u16 = 1000;

/// How far a release is open on a route.
#[derive(Debug, Clone, Default)]
pub(super) struct Opening<'a> {
    hash: Option<(&'a str, HashKey)>,
    share: u16,
    ab: Option<&'a Ab>,
    regions: Option<&'a Regions>,
    conditions: Vec<String>,
}

/// How the users of two openings relate where the buckets alone do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Same,
    /// Everybody who meets the new conditions met the old ones.
    Narrower,
    Wider,
    Unknown,
}

/// Users per thousand who change sides.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moves {
    pub(super) to_gray: f64,
    pub(super) to_stable: f64,
    /// Whether these are the numbers, and not only bounds.
    pub(super) exact: bool,
    /// Whether they are of those users alone who meet the conditions.
    pub(super) of_eligible: bool,
}

impl<'a> Opening<'a> {
    /// Open for nobody.
    pub(super) fn closed() -> Self {
        Self::default()
    }

    pub(super) fn of(release: &'a Release) -> Self {
        let level = release.open_level();
        let share = match level {
            Level::Full => PLACES,
            Level::Permille => release.permille.get(),
            _ => 0,
        };
        Self {
            hash: Some((&release.salt, release.hash_key)),
            share,
            ab: release.ab.as_ref().filter(|_| level >= Level::Ab && share < PLACES),
            regions: Some(&release.regions)
                .filter(|regions| level >= Level::Region && share < PLACES && !regions.is_empty()),
            conditions: release.conditions.iter().map(|condition| format!("{condition:?}")).collect(),
        }
    }

    /// Whether nobody gets in.
    fn is_closed(&self) -> bool {
        self.share == 0 && self.ab.is_none() && self.regions.is_none()
    }

    /// Who changes sides from this opening to the next one. `same_users`: the facts that hash, and those that conditions
    /// and regions read, come from where they came from.
    pub(super) fn moves_to(&self, next: &Opening<'_>, same_users: bool) -> Moves {
        let grid = Grid::of(self, next);
        let scope = match same_users {
            true => self.scope_of(next),
            false => Scope::Unknown,
        };
        let conditional = !(self.conditions.is_empty() && next.conditions.is_empty());
        let regional = self.regions.is_some() || next.regions.is_some();
        let known = scope == Scope::Same || self.is_closed() || next.is_closed();
        let to_gray = bound(&grid, self, next, scope, Side::In);
        let to_stable = bound(&grid, self, next, scope, Side::Out);
        let exact = (known && !regional && same_users) || (to_gray == 0.0 && to_stable == 0.0);
        Moves { to_gray, to_stable, exact, of_eligible: conditional && known }
    }

    fn scope_of(&self, next: &Opening<'_>) -> Scope {
        let within = |one: &[String], two: &[String]| one.iter().all(|condition| two.contains(condition));
        match (within(&self.conditions, &next.conditions), within(&next.conditions, &self.conditions)) {
            (true, true) => Scope::Same,
            (true, false) => Scope::Narrower,
            (false, true) => Scope::Wider,
            (false, false) => Scope::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    In,
    Out,
}

/// At most so many users per thousand who enter gray, or leave it.
fn bound(grid: &Grid, old: &Opening<'_>, new: &Opening<'_>, scope: Scope, side: Side) -> f64 {
    // Leaving is entering, backwards.
    let (before, after, opened) = match side {
        Side::In => (old, new, Scope::Wider),
        Side::Out => (new, old, Scope::Narrower),
    };
    let (was, is) = match side {
        Side::In => (OLD, NEW),
        Side::Out => (NEW, OLD),
    };
    if after.is_closed() {
        return 0.0;
    }
    let regions_grow = after.regions.is_some_and(|after| before.regions.is_none_or(|before| !after.is_within(before)));
    let anew = scope == Scope::Unknown || scope == opened;
    match (anew, after.regions.is_some(), regions_grow) {
        // Whoever is in now may not have been in before.
        (true, true, _) => f64::from(PLACES),
        (true, false, _) => grid.share(|mask| mask & is != 0),
        (false, _, true) => grid.share(|mask| mask & was == 0),
        (false, _, false) => grid.share(|mask| mask & is != 0 && mask & was == 0),
    }
}

const OLD_SHARE: u8 = 1;
const OLD_GROUP: u8 = 2;
const NEW_SHARE: u8 = 4;
const NEW_GROUP: u8 = 8;
/// In gray before, by bucket or group.
const OLD: u8 = OLD_SHARE | OLD_GROUP;
/// In gray after.
const NEW: u8 = NEW_SHARE | NEW_GROUP;

/// How many cells of the grid each combination of memberships has.
struct Grid {
    cells: [u64; 16],
    all: u64,
}

impl Grid {
    fn of(old: &Opening<'_>, new: &Opening<'_>) -> Self {
        // One axis for each salt, and for each kind of key that is hashed with it.
        let mut axes: BTreeMap<(&str, bool), [u8; PLACES as usize]> = BTreeMap::new();
        for (opening, share, group) in [(old, OLD_SHARE, OLD_GROUP), (new, NEW_SHARE, NEW_GROUP)] {
            let Some((salt, key)) = opening.hash else { continue };
            let device = key == HashKey::Device;
            let axis = axes.entry((salt, device)).or_insert([0; PLACES as usize]);
            axis[..usize::from(opening.share)].iter_mut().for_each(|mask| *mask |= share);
            if let Some(ab) = opening.ab {
                let axis = axes.entry((ab.experiment().salt(), device)).or_insert([0; PLACES as usize]);
                for place in (0..PLACES).filter(|place| ab.admits_place(*place)) {
                    axis[usize::from(place)] |= group;
                }
            }
        }
        let mut grid = Grid { cells: [0; 16], all: 1 };
        grid.cells[0] = 1;
        for axis in axes.values() {
            grid.add(axis);
        }
        grid
    }

    fn add(&mut self, axis: &[u8; PLACES as usize]) {
        let mut counts = [0_u64; 16];
        axis.iter().for_each(|mask| counts[usize::from(*mask)] += 1);
        let mut cells = [0; 16];
        for (mask, cell) in self.cells.iter().enumerate() {
            for (more, count) in counts.iter().enumerate() {
                cells[mask | more] += cell * count;
            }
        }
        self.cells = cells;
        self.all *= u64::from(PLACES);
    }

    /// Cells per thousand: four axes at most, so 10^12 cells, which a double holds exactly.
    fn share(&self, wanted: impl Fn(u8) -> bool) -> f64 {
        let found: u64 = (0_u8..16).filter(|mask| wanted(*mask)).map(|mask| self.cells[usize::from(mask)]).sum();
        found as f64 * f64::from(PLACES) / self.all as f64
    }
}
