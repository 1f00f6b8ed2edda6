//! Packets behind a rule that translates destinations: where they lead now, and what they remember.

use std::collections::HashMap;

use super::journey::{End, Fate, Fates, Fixed, as_asked};
use super::outcome::{Outcome, Verdict};
use super::routing::Routing;
use super::space::{Field, Space, bits};
use crate::diagram::{Instead, Node};
use crate::net::PortRange;
use crate::netfilter::dump::Translation;

/// Values of the fields that a translation changes, where the way to it has told them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Pinned {
    destination: Option<u128>,
    port: Option<u128>,
}

/// Puts what comes behind a translation in its place.
pub(super) struct Translator<'w> {
    pub routing: &'w Routing,
    pub fates: &'w mut Fates,
    pub behind: Node,
    pub untouched: Node,
    /// Of the host's own packets.
    pub own: bool,
    pub memo: HashMap<(Node, Pinned), Node>,
}

impl Translator<'_> {
    pub(super) fn put(&mut self, space: &mut Space, node: Node, pinned: Pinned) -> Node {
        if let Some(known) = self.memo.get(&(node, pinned)) {
            return *known;
        }
        let made = match (node.as_answer(), space.diagrams.level(node)) {
            (Some(answer), _) => {
                let outcome = space.outcome_of(answer);
                self.outcome(space, &outcome, pinned)
            }
            (None, Some(level)) => {
                let branches = space.diagrams.branches(node);
                let field = space.field(level);
                let mut parts = Vec::with_capacity(branches.len());
                for (first, last, to) in branches {
                    let mut pinned = pinned;
                    let value = (first == last).then_some(first);
                    match field {
                        Some(Field::Destination) => pinned.destination = value,
                        Some(Field::Port) => pinned.port = value,
                        _ => {}
                    }
                    parts.push((last, self.put(space, to, pinned)));
                }
                space.diagrams.by_value(level, &parts)
            }
            (None, None) => Node::NO,
        };
        self.memo.insert((node, pinned), made);
        made
    }

    fn outcome(&mut self, space: &mut Space, outcome: &Outcome, pinned: Pinned) -> Node {
        match &outcome.verdict {
            Verdict::Drop => self.fates.end(End::Dropped),
            Verdict::Unknown(target) => self.fates.end(End::Unknown(target.clone())),
            Verdict::Dnat(to) => {
                let node = self.translated(space, to, pinned);
                space.seen(node, outcome)
            }
            Verdict::Redirect(ports) => {
                let node = self.redirected(space, *ports, pinned);
                space.seen(node, outcome)
            }
            _ => space.seen(self.untouched, outcome),
        }
    }

    /// Where the kernel may choose, this takes the first.
    fn translated(&mut self, space: &mut Space, to: &Translation, pinned: Pinned) -> Node {
        let address = to.addresses.map(|(first, _)| bits(first));
        let port = to.ports.map(|ports| u128::from(ports.first));
        let mut known: Fixed = Vec::new();
        known.extend(address.map(|it| (space.level(Field::Destination), Instead::Value(it))));
        known.extend(port.map(|it| (space.level(Field::Port), Instead::Value(it))));
        known.push((space.level(Field::Translated), Instead::Value(2)));
        let asked = [
            (Field::AskedDestination, pinned.destination),
            (Field::AskedPort, pinned.port),
        ];
        for (field, value) in asked {
            known.extend(value.map(|it| (space.level(field), Instead::Value(it))));
        }
        let node = space.diagrams.substitute(self.behind, &known);
        let node = as_asked(space, node);
        let node = self.led(space, node, to);
        self.unless_the_same(space, node, address, port)
    }

    /// A translation to where the packet goes anyway is none; `nf_nat_setup_info` of the kernel.
    fn unless_the_same(
        &mut self,
        space: &mut Space,
        node: Node,
        address: Option<u128>,
        port: Option<u128>,
    ) -> Node {
        let fields = [(Field::Destination, address), (Field::Port, port)];
        let mut same = Node::YES;
        for (field, value) in fields {
            if let Some(value) = value {
                let is = space.is(field, value);
                same = space.diagrams.guard(same, is);
            }
        }
        space.diagrams.select(same, self.untouched, node)
    }

    /// Notes the new destination in every fate.
    fn led(&mut self, space: &mut Space, node: Node, to: &Translation) -> Node {
        let address = to.addresses.map(|(first, _)| first);
        let target = (address, to.ports.map(|ports| ports.first));
        let fates = &mut *self.fates;
        space.diagrams.map(node, &mut |answer| {
            let fate = Fate {
                to: Some(target),
                ..fates.get(answer)
            };
            fates.node(&fate).as_answer().unwrap_or(0)
        })
    }

    /// To loopback for the host's own packets, else to the first address of the interface that a packet
    /// came by. Where that has none, the packet ends; `nf_nat_redirect_ipv4` of the kernel.
    fn redirected(&mut self, space: &mut Space, ports: Option<PortRange>, pinned: Pinned) -> Node {
        let mut ways = Vec::new();
        for (name, address) in self.routing.redirects(space.family, self.own) {
            let to = Translation {
                addresses: address.map(|address| (address, address)),
                ports,
            };
            let (way, here) = match name {
                None => (self.translated(space, &to, pinned), Node::YES),
                Some(name) => {
                    let atom = space.atom(&name);
                    let way = match address {
                        Some(_) => self.translated(space, &to, pinned),
                        None => self.fates.end(End::Dropped),
                    };
                    (way, space.is(Field::Input, atom))
                }
            };
            ways.push(space.diagrams.guard(here, way));
        }
        space.diagrams.first_of(&ways)
    }
}
