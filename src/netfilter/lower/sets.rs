//! Trust sets as ends of rules: few prefixes are an end each, many are one end.

use ipnet::IpNet;

use super::ways::{End, View, Way, smaller};
use crate::policy::ir::TrustId;

/// So many prefixes of one set stay together in a rule of the draft.
const MANY: usize = 16;

impl View<'_> {
    /// Returns the prefixes of a trust set with addresses among those of `some`, or all: one
    /// end where they are many.
    pub(super) fn set(&self, id: TrustId, some: Option<Vec<IpNet>>) -> Vec<End> {
        let Some(all) = self.sets.get(id.0) else {
            return Vec::new();
        };
        let keep = among(some);
        let kept = || all.iter().copied().filter(|net| keep(*net));
        let count = kept().count();
        if count < MANY {
            return kept().map(End::net).collect();
        }
        let whole = count == all.len();
        let many = if whole { all.clone() } else { kept().collect() };
        vec![End {
            many: Some(many),
            ..End::default()
        }]
    }

    /// Returns what of a trust set may send on a way.
    pub(super) fn senders_of(&self, id: TrustId, way: Way) -> Vec<End> {
        if let Some(ends) = self.ends.borrow().get(&(id, way)) {
            return ends.clone();
        }
        let ends = self.set(id, self.may_send(way));
        let mut known = self.ends.borrow_mut();
        known.insert((id, way), ends.clone());
        ends
    }
}

/// Returns what tells that a prefix has addresses among those of `some`, or among all.
fn among(some: Option<Vec<IpNet>>) -> impl Fn(IpNet) -> bool {
    move |net| {
        let meets = |some: &Vec<IpNet>| some.iter().any(|it| smaller(*it, net).is_some());
        some.as_ref().is_none_or(meets)
    }
}
