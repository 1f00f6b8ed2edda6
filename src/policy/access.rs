//! `allow`, `deny`, `link` and `expect`.

use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Name, Verb};

use super::check::addresses::{Need, Use};
use super::containers::Draft;
use super::ir::{Access, Effect, Expectation, Party};
use super::links::Links;
use super::names::Scope;
use super::ports;

/// What reading the statements needs, and what it brings to light.
pub(super) struct Reading<'a, 'r> {
    pub(super) scope: &'r mut Scope<'a>,
    pub(super) containers: &'r [Draft],
    pub(super) uses: &'r mut Vec<Use>,
    pub(super) diagnostics: &'r mut Diagnostics,
}

/// Both sides of a statement.
pub(super) struct Sides {
    pub(super) left: Arc<[Party]>,
    pub(super) right: Vec<Party>,
}

/// Reads all statements in their order; a link becomes one access for each right side.
pub(super) fn resolve<'a>(
    written: &[&'a ast::Access],
    reading: &mut Reading<'a, '_>,
) -> Vec<Access> {
    let mut links = Links::default();
    let mut accesses = Vec::with_capacity(written.len());
    for access in written {
        let services = ports::services(&access.services, reading.diagnostics);
        let Some(sides) = reading.sides(&access.left, &access.right) else {
            continue;
        };
        match access.verb.node {
            Verb::Link => {
                if reading.check_link_sides(access, &sides) {
                    reading.use_containers(access, &sides, Need::Some);
                    let found = links.resolve(access, &sides, services.as_deref(), reading);
                    accesses.extend(found);
                }
            }
            Verb::Allow | Verb::Deny => {
                let found = reading.access(access, sides);
                accesses.extend(
                    found
                        .zip(services)
                        .map(|(access, services)| Access { services, ..access }),
                );
            }
        }
    }
    accesses
}

/// Reads all expectations.
pub(super) fn expectations<'a>(
    written: &[&'a ast::Expect],
    reading: &mut Reading<'a, '_>,
) -> Vec<Expectation> {
    let one = |expect: &&'a ast::Expect| reading.expectation(expect);
    written.iter().filter_map(one).collect()
}

impl<'a> Reading<'a, '_> {
    /// Looks up both sides, so that unknown names of both are known.
    fn sides(&mut self, left: &'a [Name], right: &'a [Name]) -> Option<Sides> {
        let (left, right) = (self.scope.parties(left), self.scope.parties(right));
        Some(Sides {
            left: left?.into(),
            right: right?,
        })
    }

    /// Returns an allow or a deny, without its services.
    fn access(&mut self, written: &ast::Access, sides: Sides) -> Option<Access> {
        let deny = written.verb.node == Verb::Deny;
        self.check_declared(written.span, &sides)?;
        let need = if deny { Need::Every } else { Need::Some };
        self.use_containers(written, &sides, need);
        Some(Access {
            effect: if deny { Effect::Deny } else { Effect::Allow },
            left: sides.left,
            right: sides.right,
            services: Vec::new(),
            link: false,
            span: written.span,
        })
    }

    fn expectation(&mut self, written: &'a ast::Expect) -> Option<Expectation> {
        let service = written.service.as_ref();
        let services = service.map_or(Some(Vec::new()), |service| {
            ports::one(service, self.diagnostics)
        });
        let (left, right) = (
            self.scope.party(&written.left),
            self.scope.party(&written.right),
        );
        let (left, right) = (left?, right?);
        let sides = Sides {
            left: [left].into(),
            right: vec![right],
        };
        self.check_declared(written.span, &sides)?;
        Some(Expectation {
            left,
            right,
            services: services?,
            allowed: written.allowed,
            span: written.span,
        })
    }

    /// Refuses a statement that no packet seen by the rules could be about.
    fn check_declared(&mut self, span: Span, sides: &Sides) -> Option<()> {
        let foreign = |party: &Party| matches!(party, Party::Outside | Party::Trust(_));
        if !sides.left.iter().chain(&sides.right).all(foreign) {
            return Some(());
        }
        self.diagnostics.push(nothing_declared(span));
        None
    }

    fn check_link_sides(&mut self, written: &ast::Access, sides: &Sides) -> bool {
        let left = written.left.iter().zip(sides.left.iter());
        let both = left.chain(written.right.iter().zip(&sides.right));
        let wrong = both.filter(|(_, party)| !matches!(party, Party::Container(_)));
        let wrong: Vec<_> = wrong.map(|(name, party)| link_side(name, *party)).collect();
        let right = wrong.is_empty();
        self.diagnostics.extend(wrong);
        right
    }

    fn use_containers(&mut self, written: &ast::Access, sides: &Sides, need: Need) {
        let left = written.left.iter().zip(sides.left.iter());
        for (name, party) in left.chain(written.right.iter().zip(&sides.right)) {
            if let Party::Container(container) = *party {
                let span = name.span;
                self.uses.push(Use {
                    container,
                    need,
                    span,
                });
            }
        }
    }
}

fn nothing_declared(span: Span) -> Diagnostic {
    let title = "no declared network is on either side";
    Diagnostic::error(code::NO_DECLARED_SIDE, title)
        .at(span, "neither side is in a network of this policy")
        .note("A policy decides about connections from or to its networks and the host.")
        .help("name a container, a network or `host` on one side")
}

fn link_side(name: &Name, party: Party) -> Diagnostic {
    let what = match party {
        Party::Any => "everybody",
        Party::Container(_) => "a container",
        Party::Host => "the machine itself",
        Party::Network(_) => "a network",
        Party::Outside => "whoever arrives by an uplink",
        Party::Trust(_) => "a trust set",
    };
    let title = format!("`{}` cannot be linked", name.node);
    Diagnostic::error(code::LINK_SIDE, title)
        .at(name.span, format!("{what}, not a container"))
        .help("a link is between containers; write `allow` with the ports instead")
}
