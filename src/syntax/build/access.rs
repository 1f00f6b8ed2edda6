//! `link`, `allow`, `deny`, `expect`, and services.

use pest::iterators::Pair;

use super::{Builder, children, has};
use crate::syntax::ast::{Access, Expect, Name, Protocol, Service, Spanned, Verb};
use crate::syntax::grammar::Rule;

impl Builder<'_> {
    pub(in crate::syntax) fn access(&mut self, pair: Pair<'_, Rule>) -> Access {
        let span = self.span(&pair);
        let verb = self.verb(&pair);
        let mut sides = children(pair.clone(), Rule::parties);
        let left = self.parties(sides.next());
        let right = self.parties(sides.next());
        let services = children(pair, Rule::services).flat_map(Pair::into_inner);
        let services = services.filter(|part| part.as_rule() == Rule::service);
        let services: Vec<Service> = services.map(|part| self.service(part)).collect();
        self.check_length(services.len(), span);
        Access {
            verb,
            left,
            right,
            services,
            span,
        }
    }

    pub(in crate::syntax) fn expect(&mut self, pair: Pair<'_, Rule>) -> Expect {
        let span = self.span(&pair);
        let allowed = has(&pair, Rule::kw_allowed);
        let (mut left, mut right, mut service) = (None, None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::party if left.is_none() => left = Some(self.party(&part)),
                Rule::party => right = Some(self.party(&part)),
                Rule::service => service = Some(self.service(part)),
                _ => {}
            }
        }
        let (Some(left), Some(right)) = (left, right) else {
            unreachable!("the grammar gives an expectation two sides")
        };
        Expect {
            left,
            right,
            service,
            allowed,
            span,
        }
    }

    fn verb(&self, pair: &Pair<'_, Rule>) -> Spanned<Verb> {
        let word = pair.clone().into_inner().next();
        let word = word.unwrap_or_else(|| unreachable!("the grammar starts with a verb"));
        let verb = match word.as_rule() {
            Rule::kw_allow => Verb::Allow,
            Rule::kw_link => Verb::Link,
            _ => Verb::Deny,
        };
        self.spanned(&word, verb)
    }

    fn parties(&mut self, side: Option<Pair<'_, Rule>>) -> Vec<Name> {
        let parts = side.map(Pair::into_inner).into_iter().flatten();
        let parties = parts.filter(|part| part.as_rule() == Rule::party);
        self.party_list(parties)
    }

    /// Builds the names of a list, which may not be longer than the bound.
    pub(super) fn party_list<'i>(
        &mut self,
        parties: impl Iterator<Item = Pair<'i, Rule>>,
    ) -> Vec<Name> {
        let names: Vec<Name> = parties.map(|part| self.party(&part)).collect();
        if let (Some(first), Some(last)) = (names.first(), names.last()) {
            self.check_length(names.len(), first.span.to(last.span));
        }
        names
    }

    pub(super) fn service(&mut self, pair: Pair<'_, Rule>) -> Service {
        let span = self.span(&pair);
        let (mut ports, mut protocol, mut icmp_type) = (Vec::new(), None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::ports => ports = self.ports(part),
                Rule::icmp_type => icmp_type = Some(self.plain_name(&part)),
                rule => {
                    protocol = protocol_of(rule)
                        .map(|found| self.spanned(&part, found))
                        .or(protocol);
                }
            }
        }
        let Some(protocol) = protocol else {
            unreachable!("the grammar gives a service a protocol")
        };
        Service {
            ports,
            protocol,
            icmp_type,
            span,
        }
    }
}

fn protocol_of(rule: Rule) -> Option<Protocol> {
    match rule {
        Rule::kw_icmp => Some(Protocol::Icmp),
        Rule::kw_sctp => Some(Protocol::Sctp),
        Rule::kw_tcp => Some(Protocol::Tcp),
        Rule::kw_udp => Some(Protocol::Udp),
        _ => None,
    }
}
