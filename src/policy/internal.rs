//! Statements that an `internal` network of the engine makes empty, whatever rules say: it gives its
//! containers no route to anywhere else, and publishes no port for them.

use crate::diag::{Diagnostic, code};
use crate::source::Span;

use super::ir::{Container, ContainerId, Effect, Network, NetworkId, Party, Policy};

/// Checks the statements of a policy; `internal` are its networks that the engine keeps apart, as
/// `told` has it, such as `the inventory`.
pub fn check(policy: &Policy, internal: &[NetworkId], told: &str) -> Vec<Diagnostic> {
    if internal.is_empty() {
        return Vec::new();
    }
    let view = View {
        policy,
        internal,
        told,
    };
    let exposures = policy.containers.iter().zip((0..).map(ContainerId));
    let exposures = exposures.filter_map(|(container, id)| view.exposure(container, id));
    exposures
        .chain(view.accesses())
        .chain(view.expectations())
        .collect()
}

struct View<'p> {
    policy: &'p Policy,
    internal: &'p [NetworkId],
    told: &'p str,
}

/// A pair of parties that never meet: the internal network of one of them.
struct Apart {
    left: Party,
    right: Party,
    network: NetworkId,
}

impl View<'_> {
    fn network(&self, id: NetworkId) -> Option<&Network> {
        self.policy.networks.get(id.0)
    }

    /// Returns the networks that a party is on; nothing where it is, or may be, anywhere.
    fn networks(&self, party: Party) -> Option<Vec<NetworkId>> {
        match party {
            Party::Container(id) => {
                let container = self.policy.containers.get(id.0)?;
                Some(container.attachments.iter().map(|at| at.network).collect())
            }
            Party::Network(id) => Some(vec![id]),
            Party::Any | Party::Host | Party::Outside | Party::Trust(_) => None,
        }
    }

    /// Returns the network of a party that is on internal ones alone.
    fn shut_in(&self, party: Party) -> Option<NetworkId> {
        let networks = self.networks(party)?;
        let all = networks.iter().all(|id| self.internal.contains(id));
        networks.first().filter(|_| all).copied()
    }

    /// The host has an address in every network, and `any` is also whoever shares one.
    fn apart(&self, left: Party, right: Party) -> Option<Apart> {
        let everywhere = |party| matches!(party, Party::Any | Party::Host);
        if everywhere(left) || everywhere(right) {
            return None;
        }
        let (ours, theirs) = (self.networks(left), self.networks(right));
        let shared = |ours: &[NetworkId]| theirs.iter().flatten().any(|id| ours.contains(id));
        if ours.as_deref().is_some_and(shared) {
            return None;
        }
        let network = self.shut_in(left).or_else(|| self.shut_in(right))?;
        Some(Apart {
            left,
            right,
            network,
        })
    }

    fn first_apart(&self, left: &[Party], right: &[Party]) -> Option<Apart> {
        let mut pairs = left
            .iter()
            .flat_map(|l| right.iter().map(move |r| (*l, *r)));
        pairs.find_map(|(left, right)| self.apart(left, right))
    }

    /// The engine publishes no port of a container that is on internal networks alone.
    fn exposure(&self, container: &Container, id: ContainerId) -> Option<Diagnostic> {
        let network = self.shut_in(Party::Container(id))?;
        let mut exposures = container.exposures.iter();
        let published = exposures.find(|it| it.published.is_some())?;
        let title = format!("the engine publishes no port of `{}`", container.name);
        Some(self.empty(title, published.span, "nothing leads there", network))
    }

    fn accesses(&self) -> impl Iterator<Item = Diagnostic> {
        let accesses = self.policy.accesses.iter();
        let allows = accesses.filter(|access| access.effect == Effect::Allow);
        allows.filter_map(|access| {
            let apart = self.first_apart(&access.left, &access.right)?;
            Some(self.empty(
                self.title(&apart),
                access.span,
                "opens nothing",
                apart.network,
            ))
        })
    }

    fn expectations(&self) -> impl Iterator<Item = Diagnostic> {
        let allowed = self.policy.expectations.iter().filter(|it| it.allowed);
        allowed.filter_map(|it| {
            let apart = self.apart(it.left, it.right)?;
            let title = self.title(&apart);
            let error = Diagnostic::error(code::EXPECTED_OF_INTERNAL, title);
            Some(self.explain(error.at(it.span, "does not hold"), apart.network))
        })
    }

    fn title(&self, apart: &Apart) -> String {
        let name = |party| self.policy.name(party);
        format!(
            "`{}` never reaches `{}`: the engine keeps them apart",
            name(apart.left),
            name(apart.right)
        )
    }

    fn empty(&self, title: String, span: Span, label: &str, network: NetworkId) -> Diagnostic {
        let warning = Diagnostic::warning(code::INTERNAL_NETWORK, title).at(span, label);
        self.explain(warning, network)
    }

    fn explain(&self, diagnostic: Diagnostic, network: NetworkId) -> Diagnostic {
        let diagnostic = match self.network(network) {
            Some(network) => {
                let label = format!("internal, says {}", self.told);
                diagnostic.also(network.span, label)
            }
            None => diagnostic,
        };
        diagnostic
            .note("Containers of an internal network have no route to anywhere else.")
            .help("put both on one network, or make the network anew without `internal`")
    }
}
