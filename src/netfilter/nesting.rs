//! How deep chains are nested, and how many jumps there are on all ways through them.

use std::collections::HashMap;

use super::Table;

/// A chain by name.
pub(super) type Name<'c> = (Table, &'c str);

/// Chains by number, each with those that it leads to. Looked up once, since a tree has thousands.
pub(super) struct Links<'c> {
    numbers: HashMap<Name<'c>, usize>,
    next: Vec<Vec<usize>>,
}

impl<'c> Links<'c> {
    /// Takes each chain with those of its table that it leads to, as often as it does.
    pub(super) fn of(chains: impl Iterator<Item = (Name<'c>, Vec<&'c str>)>) -> Self {
        let (names, leads): (Vec<_>, Vec<_>) = chains.unzip();
        let numbers: HashMap<Name<'c>, usize> = names.iter().copied().zip(0..).collect();
        let found = |((table, _), leads): (&Name<'c>, Vec<&'c str>)| {
            let numbers = leads
                .into_iter()
                .filter_map(|name| numbers.get(&(*table, name)));
            numbers.copied().collect()
        };
        let next = names.iter().zip(leads).map(found).collect();
        Links { numbers, next }
    }

    /// Returns the most chains that are below each other from one of these on, which is counted. Those of
    /// a circle have no end.
    pub(super) fn deepest(&self, from: impl Iterator<Item = Name<'c>>) -> usize {
        let below = |depths: &[usize]| depths.iter().max().unwrap_or(&0).saturating_add(1);
        let each = self.each(from, &below);
        each.into_iter().max().unwrap_or(0)
    }

    /// Returns how many jumps there are from the hooks that lead to these, those of a chain to which two
    /// ways lead twice: what a walk over all rules passes that does not remember where it was.
    pub(super) fn jumps(&self, hooked: impl Iterator<Item = Name<'c>>) -> usize {
        let below = |jumps: &[usize]| {
            let each = jumps.iter().map(|jumps| jumps.saturating_add(1));
            each.fold(0, usize::saturating_add)
        };
        below(&self.each(hooked, &below))
    }

    /// Works out a number of each of these chains.
    fn each(
        &self,
        from: impl Iterator<Item = Name<'c>>,
        number: &dyn Fn(&[usize]) -> usize,
    ) -> Vec<usize> {
        let mut known = vec![None; self.next.len()];
        let chain = |name| self.numbers.get(&name).copied();
        let each = from.map(|name| chain(name).map_or(0, |at| self.folded(at, &mut known, number)));
        each.collect()
    }

    /// Works out a number of a chain from those of the chains that it leads to.
    fn folded(
        &self,
        chain: usize,
        known: &mut [Option<usize>],
        number: &dyn Fn(&[usize]) -> usize,
    ) -> usize {
        if let Some(number) = known.get(chain).copied().flatten() {
            return number;
        }
        if let Some(place) = known.get_mut(chain) {
            // What leads back here has no end.
            *place = Some(usize::MAX);
        }
        let next = self.next.get(chain).map_or(&[][..], Vec::as_slice);
        let mut below = Vec::with_capacity(next.len());
        for chain in next {
            below.push(self.folded(*chain, known, number));
        }
        let number = number(&below);
        if let Some(place) = known.get_mut(chain) {
            *place = Some(number);
        }
        number
    }
}
