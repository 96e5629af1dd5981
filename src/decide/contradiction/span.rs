//! What lies between two ends: numbers, and versions.

/// Values between two ends, each included or not.
#[derive(Clone, Copy)]
pub(super) struct Span<T> {
    pub(super) low: Option<(T, bool)>,
    pub(super) high: Option<(T, bool)>,
}

impl<T: Copy + Ord> Span<T> {
    pub(super) fn and(self, other: Span<T>) -> Span<T> {
        // Of two equal ends the one that leaves itself out is the narrower one.
        let higher = |one: (T, bool), other: (T, bool)| {
            if one.0 > other.0 || (one.0 == other.0 && !one.1) { one } else { other }
        };
        let lower = |one: (T, bool), other: (T, bool)| {
            if one.0 < other.0 || (one.0 == other.0 && !one.1) { one } else { other }
        };
        Span {
            low: self.low.zip(other.low).map(|(one, other)| higher(one, other)).or(self.low).or(other.low),
            high: self.high.zip(other.high).map(|(one, other)| lower(one, other)).or(self.high).or(other.high),
        }
    }

    pub(super) fn contains(self, value: T) -> bool {
        self.low.is_none_or(|(low, closed)| value > low || (closed && value == low))
            && self.high.is_none_or(|(high, closed)| value < high || (closed && value == high))
    }

    pub(super) fn is_empty(self) -> bool {
        self.low.zip(self.high).is_some_and(|((low, from), (high, to))| low > high || (low == high && !(from && to)))
    }

    /// The one value that there is.
    pub(super) fn only(self) -> Option<T> {
        let ((low, from), (high, to)) = self.low.zip(self.high)?;
        (low == high && from && to).then_some(low)
    }
}
