//! Sets of whole numbers as sorted ranges, the base of address sets.

/// Ranges that do not touch, in order; both ends within.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct IntervalSet {
    ranges: Vec<(u128, u128)>,
}

impl IntervalSet {
    /// Makes a set of ranges in any order, which may overlap. A range with `first > last` is empty.
    pub fn from_ranges(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        IntervalSet { ranges: merged }
    }

    pub fn ranges(&self) -> &[(u128, u128)] {
        &self.ranges
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub fn contains(&self, value: u128) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= value);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        range.is_some_and(|(_, last)| value <= *last)
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_ranges([self.ranges.as_slice(), &other.ranges].concat())
    }

    /// Returns what is in `self` and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut cuts = other.ranges.iter().peekable();
        for &(first, last) in &self.ranges {
            let mut start = Some(first);
            while let Some(&&(cut_first, cut_last)) = cuts.peek() {
                if cut_first > last {
                    break;
                }
                if let Some(at) = start.filter(|at| *at < cut_first) {
                    left.push((at, cut_first - 1));
                }
                start = start.and_then(|at| cut_last.checked_add(1).map(|next| at.max(next)));
                if cut_last > last {
                    break;
                }
                cuts.next();
            }
            left.extend(start.filter(|at| *at <= last).map(|at| (at, last)));
        }
        Self::from_ranges(left)
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.difference(&self.difference(other))
    }

    /// Returns whether a value is in both, in time n log m for the smaller set's n ranges.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = if self.ranges.len() < other.ranges.len() {
            (self, other)
        } else {
            (other, self)
        };
        few.ranges.iter().any(|(first, last)| {
            let at = many.ranges.partition_point(|(_, end)| end < first);
            many.ranges.get(at).is_some_and(|(start, _)| start <= last)
        })
    }
}
