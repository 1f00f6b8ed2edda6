//! What only the kernel can tell: every way that the packet may take is gone once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Assumption, Machine, Probe, Trace};
use crate::netfilter::dump::Opaque;

/// Most ways that are told. A packet that meets more open questions than these can answer has the
/// last ones answered with no.
pub const MAX_ENDS: usize = 64;

/// Answers given so far on one way: those of the way's beginning are set, later ones are no.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    script: Vec<bool>,
    given: Vec<Assumption>,
    /// A question about the packet alone has one answer.
    pure: BTreeMap<Opaque, bool>,
}

impl Answers {
    pub(super) fn ask(&mut self, what: &Opaque) -> bool {
        if let Some(answer) = self.pure.get(what) {
            return *answer;
        }
        let holds = self.script.get(self.given.len()).copied().unwrap_or(false);
        let what = what.clone();
        if !what.stateful {
            self.pure.insert(what.clone(), holds);
        }
        self.given.push(Assumption { what, holds });
        holds
    }

    pub(super) fn count(&self) -> usize {
        self.given.len()
    }

    /// Returns the script of the next way: the last no becomes a yes.
    fn next(&self) -> Option<Vec<bool>> {
        let last = self.given.iter().rposition(|given| !given.holds)?;
        let before = self.given.iter().take(last).map(|given| given.holds);
        Some(before.chain([true]).collect())
    }

    pub(super) fn into_given(self) -> Vec<Assumption> {
        self.given
    }
}

/// Returns every way that a packet may take, at least one and at most [`MAX_ENDS`].
pub fn traces(machine: &Machine, probe: &Probe) -> Vec<Trace> {
    ways(machine, probe, None)
}

/// Like [`traces`] for a connection that the kernel sends to `to` already, whatever `nat` would say of a
/// new one.
pub fn traces_to(machine: &Machine, probe: &Probe, to: (IpAddr, u16)) -> Vec<Trace> {
    ways(machine, probe, Some(to))
}

fn ways(machine: &Machine, probe: &Probe, to: Option<(IpAddr, u16)>) -> Vec<Trace> {
    let mut found = Vec::new();
    let mut script = Some(Vec::new());
    while let Some(now) = script.take().filter(|_| found.len() < MAX_ENDS) {
        let answers = Answers {
            script: now,
            ..Answers::default()
        };
        let (trace, answers) = super::journey::travel(machine, probe, to, answers);
        script = answers.next();
        let assumptions = answers.into_given();
        found.push(Trace {
            assumptions,
            ..trace
        });
    }
    found
}
