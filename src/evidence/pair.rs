//! The two lanes that are compared, by name, so that nobody swaps them by a position.

use serde::Serialize;

/// One value for each of the two lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pair<T> {
    /// The version everybody knows.
    pub stable: T,
    /// The new version.
    pub gray: T,
}

impl<T: Copy> Pair<T> {
    /// One function over both lanes.
    pub fn map<U>(self, of: impl Fn(T) -> U) -> Pair<U> {
        Pair { stable: of(self.stable), gray: of(self.gray) }
    }
}

impl Pair<u64> {
    /// Both lanes together.
    pub fn sum(self) -> u64 {
        self.stable.saturating_add(self.gray)
    }

    /// The smaller of the two.
    pub fn least(self) -> u64 {
        self.stable.min(self.gray)
    }
}
