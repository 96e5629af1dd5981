//! The names of the lanes, interned once, so that a decision carries a small number.

use serde::{Serialize, Serializer};

/// The place of a lane in [`Lanes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(u8);

impl LaneId {
    /// The version that everybody sees and everything falls back to.
    pub const STABLE: LaneId = LaneId(0);
    /// The version being released.
    pub const GRAY: LaneId = LaneId(1);

    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All lanes of a configuration: `stable` and `gray`, then the named ones in the order met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lanes(Vec<Box<str>>);

impl Lanes {
    /// The greatest number of lanes.
    pub const MAX: usize = 64;

    /// `stable` and `gray`.
    pub fn new() -> Lanes {
        Lanes(vec!["stable".into(), "gray".into()])
    }

    /// The lane of this name, added where it is new; `None` where there are already [`Lanes::MAX`].
    pub fn intern(&mut self, name: &str) -> Option<LaneId> {
        if let Some(known) = self.id(name) {
            return Some(known);
        }
        if self.0.len() == Lanes::MAX {
            return None;
        }
        self.0.push(name.into());
        Some(LaneId((self.0.len() - 1) as u8))
    }

    /// The lane of this name.
    pub fn id(&self, name: &str) -> Option<LaneId> {
        self.0.iter().position(|known| **known == *name).map(|index| LaneId(index as u8))
    }

    /// The name of a lane of this table.
    pub fn name(&self, lane: LaneId) -> &str {
        self.0.get(lane.index()).map_or("stable", |name| name)
    }

    /// Every lane with its name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (LaneId, &str)> {
        self.0.iter().enumerate().map(|(index, name)| (LaneId(index as u8), &**name))
    }

    /// How many lanes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: `stable` and `gray` are always there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Lanes {
    fn default() -> Lanes {
        Lanes::new()
    }
}

impl Serialize for Lanes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_lanes_are_there_and_names_are_kept_once() {
        let mut lanes = Lanes::new();
        assert_eq!(lanes.id("stable"), Some(LaneId::STABLE));
        assert_eq!(lanes.id("gray"), Some(LaneId::GRAY));
        let gold = lanes.intern("gold").unwrap();
        assert_eq!(lanes.intern("gold"), Some(gold));
        assert_eq!(lanes.name(gold), "gold");
        assert_eq!(lanes.len(), 3);
        assert_eq!(lanes.id("bronze"), None);
    }

    #[test]
    fn a_table_is_bounded() {
        let mut lanes = Lanes::new();
        for index in 2..Lanes::MAX {
            assert!(lanes.intern(&format!("lane-{index}")).is_some());
        }
        assert_eq!(lanes.intern("one-too-many"), None);
    }
}
