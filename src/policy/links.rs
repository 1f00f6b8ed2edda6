//! Links: from containers to the ports that others expose.

use std::collections::HashSet;

use crate::diag::{Diagnostic, code};
use crate::net::{IntervalSet, PortRange};
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Name, Protocol};

use super::access::{Reading, Sides};
use super::containers::Draft;
use super::ir::{Access, ContainerId, Effect, Exposure, Party, Service};
use super::ports;

/// How many sides and services all links together may stand for: a link from many to many is
/// short to write.
const MAX_SIZE: usize = 4_000_000;

/// How many exposures a message names.
const MAX_NAMED: usize = 12;

/// The links read so far.
#[derive(Debug, Default)]
pub(super) struct Links {
    size: usize,
    /// Containers without exposures that have been reported.
    silent: HashSet<ContainerId>,
}

impl Links {
    /// Returns one access for each right side of the link that exposes what it asks for.
    /// `services` is `None` after an error in them.
    pub(super) fn resolve(
        &mut self,
        written: &ast::Access,
        sides: &Sides,
        services: Option<&[Service]>,
        reading: &mut Reading<'_, '_>,
    ) -> Vec<Access> {
        let mut accesses = Vec::new();
        for (name, party) in written.right.iter().zip(&sides.right) {
            let Party::Container(id) = *party else {
                continue;
            };
            let draft = reading.containers.get(id.0);
            let Some(draft) = draft.filter(|draft| draft.exposures_known) else {
                continue;
            };
            match self.services(written, services, name, (id, draft)) {
                Ok(services) => {
                    self.size += sides.left.len() + services.len();
                    if self.size > MAX_SIZE {
                        self.refuse(written.span, reading);
                        break;
                    }
                    accesses.push(access(written, sides, *party, services));
                }
                Err(flaws) => reading.diagnostics.extend(flaws),
            }
        }
        accesses
    }

    /// Reports the link that passes the limit, and only that.
    fn refuse(&mut self, span: Span, reading: &mut Reading<'_, '_>) {
        if self.size != usize::MAX {
            reading.diagnostics.push(too_many(span));
        }
        self.size = usize::MAX;
    }

    /// Returns the services of a link to one container: those written, or all that it exposes.
    fn services(
        &mut self,
        written: &ast::Access,
        asked: Option<&[Service]>,
        name: &Name,
        (id, draft): (ContainerId, &Draft),
    ) -> Result<Vec<Service>, Vec<Diagnostic>> {
        let exposures = &draft.container.exposures;
        if exposures.is_empty() {
            let first = self.silent.insert(id);
            return Err(first
                .then(|| exposes_nothing(name, draft))
                .into_iter()
                .collect());
        }
        let Some(asked) = asked else {
            return Err(Vec::new());
        };
        if written.services.is_empty() {
            return Ok(exposures.iter().map(service).collect());
        }
        let flaws = uncovered(written, draft);
        if flaws.is_empty() {
            Ok(asked.to_vec())
        } else {
            Err(flaws)
        }
    }
}

fn access(written: &ast::Access, sides: &Sides, right: Party, services: Vec<Service>) -> Access {
    Access {
        effect: Effect::Allow,
        left: sides.left.clone(),
        right: vec![right],
        services,
        link: true,
        span: written.span,
    }
}

fn service(exposure: &Exposure) -> Service {
    Service::Ports(exposure.protocol, Some(exposure.ports))
}

/// Reports each service of the link that the container does not expose as a whole.
fn uncovered(written: &ast::Access, draft: &Draft) -> Vec<Diagnostic> {
    let protocols = [Protocol::Sctp, Protocol::Tcp, Protocol::Udp];
    let exposed = protocols.map(|protocol| (protocol, exposed(draft, protocol)));
    let covers = |service: &&ast::Service| {
        let protocol = service.protocol.node;
        let exposed = exposed.iter().find(|(known, _)| *known == protocol);
        exposed.is_some_and(|(_, exposed)| wanted(service).difference(exposed).is_empty())
    };
    let services = written.services.iter();
    services
        .filter(|service| !covers(service))
        .map(|service| not_exposed(service, draft))
        .collect()
}

fn exposed(draft: &Draft, protocol: Protocol) -> IntervalSet {
    let exposures = draft.container.exposures.iter();
    let of_protocol = exposures.filter(|exposure| exposure.protocol == protocol);
    let range = |ports: PortRange| (ports.first.into(), ports.last.into());
    IntervalSet::from_ranges(of_protocol.map(|exposure| range(exposure.ports)).collect())
}

fn wanted(service: &ast::Service) -> IntervalSet {
    if service.ports.is_empty() {
        let all = (ports::ALL.first.into(), ports::ALL.last.into());
        return IntervalSet::from_ranges(vec![all]);
    }
    let ranges = service.ports.iter().map(|range| range.node);
    IntervalSet::from_ranges(
        ranges
            .map(|range| (range.first.into(), range.last.into()))
            .collect(),
    )
}

fn not_exposed(service: &ast::Service, draft: &Draft) -> Diagnostic {
    let name = &draft.container.name;
    let title = format!("`{name}` does not expose this");
    let exposures = &draft.container.exposures;
    let shown = exposures.iter().take(MAX_NAMED).map(|exposure| {
        let protocol = ports::word(exposure.protocol);
        format!("{}/{protocol}", exposure.ports)
    });
    let mut shown: Vec<String> = shown.collect();
    if exposures.len() > MAX_NAMED {
        shown.push(format!("{} more", exposures.len() - MAX_NAMED));
    }
    Diagnostic::error(code::LINK_NOT_EXPOSED, title)
        .at(
            service.span,
            format!("`{name}` exposes {}", shown.join(", ")),
        )
        .also(draft.container.span, "declared here")
        .note("A link names the container's own ports, not those of the host.")
        .help("link to a port that is exposed, or add an `expose`")
}

fn exposes_nothing(name: &Name, draft: &Draft) -> Diagnostic {
    let title = format!("`{}` exposes nothing to link to", name.node);
    Diagnostic::error(code::LINK_TO_NOTHING, title)
        .at(name.span, "this link would let nothing through")
        .also(draft.container.span, "declared here without `expose`")
        .help("add the port to its block, as in `expose 5432/tcp`")
}

fn too_many(span: Span) -> Diagnostic {
    let title = format!("the links stand for more than {MAX_SIZE} sides and services");
    Diagnostic::error(code::TOO_MANY_LINKS, title)
        .at(span, "the limit is passed here")
        .help("put the containers into a network of their own, and write `allow` for it")
}
