//! Rules in the policy's words, for the source map and for drift.

use std::fmt::Write;
use std::sync::Arc;

use super::ways::View;
use crate::net::PortRange;
use crate::netfilter::rule::{Origin, Service, protocol_word};
use crate::policy::ir::{Access, ContainerId, Effect, Exposure, NetworkId, Party};

impl View<'_> {
    fn name(&self, party: Party) -> &str {
        match party {
            Party::Any => "any",
            Party::Container(id) => &self.container(id).name,
            Party::Host => "host",
            Party::Network(id) => &self.network(id).name,
            Party::Outside => "outside",
            Party::Trust(id) => self
                .policy
                .trusts
                .get(id.0)
                .map_or("", |trust| trust.name.as_str()),
        }
    }

    /// Says one pair of an `allow`, `deny` or `link`: `web may reach db : 5432/tcp`.
    pub(super) fn say_access(
        &self,
        access: &Access,
        left: Party,
        right: Party,
        service: Option<Service>,
    ) -> Origin {
        let may = match access.effect {
            Effect::Allow => "may reach",
            Effect::Deny => "may not reach",
        };
        let mut says = format!("{} {may} {}", self.name(left), self.name(right));
        if let Some(service) = service {
            // Writing to a String cannot fail.
            let _ = write!(says, " : {service}");
        }
        Origin {
            span: access.span,
            says: says.into(),
        }
    }

    /// Says one source of an exposure: `office may reach db : 9187/tcp by host port 9187`.
    pub(super) fn say_exposure(
        &self,
        from: Party,
        container: ContainerId,
        exposure: &Exposure,
    ) -> Origin {
        let says = format!(
            "{} may reach {}",
            self.name(from),
            self.say_port(container, exposure)
        );
        Origin {
            span: exposure.span,
            says: says.into(),
        }
    }

    /// Says that nobody else reaches an exposure.
    pub(super) fn say_closed(&self, container: ContainerId, exposure: &Exposure) -> Origin {
        let says = format!(
            "nobody else may reach {}",
            self.say_port(container, exposure)
        );
        Origin {
            span: exposure.span,
            says: says.into(),
        }
    }

    /// Says where a published port leads: `host port 8080 leads to web : 80/tcp`.
    pub(super) fn say_translated(
        &self,
        container: ContainerId,
        exposure: &Exposure,
        ports: PortRange,
    ) -> Origin {
        let name = &self.container(container).name;
        let protocol = protocol_word(exposure.protocol);
        let inner = exposure.ports;
        Origin {
            span: exposure.span,
            says: format!("host port {ports} leads to {name} : {inner}/{protocol}").into(),
        }
    }

    pub(super) fn say_port(&self, container: ContainerId, exposure: &Exposure) -> String {
        let name = &self.container(container).name;
        let port = format!(
            "{name} : {}/{}",
            exposure.ports,
            protocol_word(exposure.protocol)
        );
        match &exposure.published {
            Some(published) => format!("{port} by host port {}", published.ports),
            None => port,
        }
    }

    /// Says something that a network's declaration itself decides.
    pub(super) fn say_network(&self, network: NetworkId, says: impl Into<Arc<str>>) -> Origin {
        Origin {
            span: self.network(network).span,
            says: says.into(),
        }
    }
}
