//! What a statement or an exposure means on a way: rules that lack only their verdict.

use super::published_key;
use super::ways::{End, View, Way, between};
use crate::netfilter::rule::{Origin, Rule, Service};
use crate::policy::ir::{Access, ContainerId, Exposure, NetworkId, Party};

impl View<'_> {
    /// Returns a rule for each source, target and service of a statement.
    pub(super) fn access_rules(&self, access: &Access, way: Way) -> Vec<Rule> {
        self.join(access, way, |right| self.right(access, right, way))
    }

    /// Like [`View::access_rules`], with every target by its address in `network`.
    pub(super) fn routed_rules(&self, access: &Access, way: Way, network: NetworkId) -> Vec<Rule> {
        self.join(access, way, |right| {
            self.addressed(&self.targets(right, way), network)
        })
    }

    fn join(&self, access: &Access, way: Way, aim: impl Fn(Party) -> Vec<End>) -> Vec<Rule> {
        let services = self.services(&access.services);
        let mut rules = Vec::new();
        for &right in &access.right {
            let targets = aim(right);
            for &left in access.left.iter().filter(|_| !targets.is_empty()) {
                let sources = self.left(access, left, way);
                for &service in &services {
                    let origin = self.say_access(access, left, right, service);
                    rules.extend(product(&sources, &targets, service, &origin));
                }
            }
        }
        rules
    }

    /// Returns a rule for each source of a statement, about one of its right sides by a target and a
    /// service of the caller's.
    pub(super) fn source_rules(
        &self,
        access: &Access,
        right: Party,
        way: Way,
        target: &End,
        service: Option<Service>,
    ) -> Vec<Rule> {
        let rules = |&left: &Party| {
            let origin = self.say_access(access, left, right, service);
            let targets = std::slice::from_ref(target);
            let sources = self.left(access, left, way);
            product(&sources, targets, service, &origin).collect::<Vec<_>>()
        };
        access.left.iter().flat_map(rules).collect()
    }

    /// Returns a rule for each source of an exposure and each address of its container.
    pub(super) fn direct_rules(
        &self,
        container: ContainerId,
        exposure: &Exposure,
        way: Way,
    ) -> Vec<Rule> {
        let targets = self.targets(Party::Container(container), way);
        let service = Some(Service::To(exposure.protocol, exposure.ports));
        self.exposure_rules(container, exposure, way, &targets, service)
    }

    /// Returns a rule for each source of a published exposure, told by the host's port; by the container's address,
    /// too, where the engine has given that port to another.
    pub(super) fn published_rules(
        &self,
        container: ContainerId,
        exposure: &Exposure,
        way: Way,
    ) -> Vec<Rule> {
        let Some(key) = published_key(exposure, self.family) else {
            return Vec::new();
        };
        let targets = if self.policy.is_contested(exposure) {
            self.targets(Party::Container(container), way)
        } else {
            vec![End::default()]
        };
        let mut rules = self.exposure_rules(container, exposure, way, &targets, key.service);
        for rule in &mut rules {
            rule.conntrack = key.conntrack;
        }
        rules
    }

    /// Returns a rule for each source of an exposure and each of `targets`.
    pub(super) fn exposure_rules(
        &self,
        container: ContainerId,
        exposure: &Exposure,
        way: Way,
        targets: &[End],
        service: Option<Service>,
    ) -> Vec<Rule> {
        let rules = |&from: &Party| {
            let origin = self.say_exposure(from, container, exposure);
            let sources = self.sources(from, way);
            product(&sources, targets, service, &origin).collect::<Vec<_>>()
        };
        exposure.from.iter().flat_map(rules).collect()
    }
}

/// Returns a rule for each source with each target.
fn product(
    sources: &[End],
    targets: &[End],
    service: Option<Service>,
    origin: &Origin,
) -> impl Iterator<Item = Rule> {
    let one = move |source, target| Rule {
        service,
        origin: Some(origin.clone()),
        ..between(source, target)
    };
    let with = move |source| targets.iter().map(move |target| one(source, target));
    sources.iter().flat_map(with)
}
