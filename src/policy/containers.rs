//! Containers: where they are attached and which addresses they have there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::facts::Facts;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::Spanned;

use super::exposures::{self, Exposures};
use super::hidden::Hidden;
use super::ir::{Attachment, Container, ContainerId, NetworkId};
use super::literal;
use super::names::Scope;
use super::{networks, stock};

/// A container, and what is known of it besides.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) container: Container,
    /// False when an attachment or address is wrong: what follows from it is not reported.
    pub(super) addresses_known: bool,
    /// False when an exposure is wrong.
    pub(super) exposures_known: bool,
    addresses: Vec<(IpAddr, Span)>,
    /// An address is the inventory's.
    looked_up: bool,
}

/// What containers are checked against.
pub(super) struct Surroundings<'n> {
    pub(super) inventory: Option<&'n Facts>,
    pub(super) networks: &'n [networks::Draft],
    pub(super) hidden: &'n Hidden,
}

/// Reads all containers; their exposures' further needs and claims go to `exposures`.
pub(super) fn resolve<'a>(
    written: &[&'a ast::Container],
    around: &Surroundings<'_>,
    scope: &mut Scope<'a>,
    exposures: &mut Exposures,
    diagnostics: &mut Diagnostics,
) -> Vec<Draft> {
    let mut drafts = Vec::with_capacity(written.len());
    for (id, container) in written.iter().enumerate() {
        let mut draft = attach(container, around, scope, diagnostics);
        let found = exposures::resolve(
            ContainerId(id),
            &container.exposures,
            scope,
            exposures,
            diagnostics,
        );
        draft.exposures_known = found.is_some() && !around.hidden.spoils(container.span);
        draft.container.exposures = found.unwrap_or_default();
        drafts.push(draft);
    }
    check_addresses(&drafts, diagnostics);
    if !around.inventory.is_some_and(|inventory| inventory.complete) {
        diagnostics.extend(stock::of_now(drafts.iter().filter(|draft| draft.looked_up)));
    }
    drafts
}

fn attach<'a>(
    written: &'a ast::Container,
    around: &Surroundings<'_>,
    scope: &mut Scope<'a>,
    diagnostics: &mut Diagnostics,
) -> Draft {
    let mut draft = empty(written);
    let mut seen: HashMap<NetworkId, Span> = HashMap::new();
    for attachment in &written.attachments {
        let Some(id) = scope.network(&attachment.network) else {
            draft.addresses_known = false;
            continue;
        };
        if let Some(first) = seen.insert(id, attachment.network.span) {
            diagnostics.push(network_twice(attachment, first));
            draft.addresses_known = false;
            continue;
        }
        let Some(network) = around.networks.get(id.0) else {
            continue;
        };
        let addresses = if attachment.addresses.is_empty() {
            draft.look_up(around.inventory, network, diagnostics)
        } else {
            draft.read_addresses(attachment, network, diagnostics)
        };
        let who = (draft.container.name.as_str(), draft.container.span);
        if let Some(inventory) = around
            .inventory
            .filter(|_| !attachment.addresses.is_empty())
        {
            diagnostics.extend(stock::contradiction(inventory, who, network, &addresses));
        }
        draft.container.attachments.push(Attachment {
            network: id,
            addresses,
            fixed: !attachment.addresses.is_empty(),
        });
    }
    draft.addresses_known &= !around.hidden.spoils(written.span);
    draft
}

fn empty(written: &ast::Container) -> Draft {
    Draft {
        container: Container {
            name: written.name.node.clone(),
            attachments: Vec::new(),
            exposures: Vec::new(),
            span: written.name.span,
        },
        addresses_known: true,
        exposures_known: true,
        addresses: Vec::new(),
        looked_up: false,
    }
}

impl Draft {
    /// Returns the place of its host among the policy's.
    pub(super) fn host(&self, networks: &[networks::Draft]) -> usize {
        let first = self.container.attachments.first();
        let network = first.and_then(|at| networks.get(at.network.0));
        network.map_or(0, |network| network.host)
    }

    /// Returns the inventory's addresses.
    fn look_up(
        &mut self,
        inventory: Option<&Facts>,
        network: &networks::Draft,
        diagnostics: &mut Diagnostics,
    ) -> Vec<IpAddr> {
        let Some(inventory) = inventory else {
            return Vec::new();
        };
        let span = self.container.span;
        let who = (self.container.name.as_str(), span);
        let addresses = stock::addresses(inventory, who, network, diagnostics);
        self.looked_up |= !addresses.is_empty();
        self.addresses
            .extend(addresses.iter().map(|address| (*address, span)));
        addresses
    }

    fn read_addresses(
        &mut self,
        attachment: &ast::Attachment,
        network: &networks::Draft,
        diagnostics: &mut Diagnostics,
    ) -> Vec<IpAddr> {
        let mut addresses = Vec::with_capacity(attachment.addresses.len());
        for text in &attachment.addresses {
            match literal::address(&text.node) {
                Ok(address) => {
                    if let Some(flaw) = place(address, text, network) {
                        diagnostics.push(flaw);
                    }
                    self.addresses_known &= network.is_whole;
                    self.addresses.push((address, text.span));
                    addresses.push(address);
                }
                Err(flaw) => {
                    self.addresses_known = false;
                    diagnostics.push(flaw.diagnostic(&text.node, text.span));
                }
            }
        }
        addresses
    }
}

fn network_twice(attachment: &ast::Attachment, first: Span) -> Diagnostic {
    let name = &attachment.network.node;
    let title = format!("the container is on `{name}` twice");
    Diagnostic::error(code::NETWORK_TWICE, title)
        .at(attachment.network.span, "named again here")
        .also(first, "first named here")
        .help("write all its addresses there after one `at`, separated by commas")
}

/// Returns what speaks against an address on the network.
fn place(
    address: IpAddr,
    written: &Spanned<String>,
    network: &networks::Draft,
) -> Option<Diagnostic> {
    let mut subnets = network.network.subnets.iter();
    match subnets.find(|subnet| subnet.contains(&address)) {
        Some(subnet) => unusable(address, *subnet, written.span),
        None if network.is_whole => Some(outside(written, network)),
        None => None,
    }
}

fn outside(written: &Spanned<String>, network: &networks::Draft) -> Diagnostic {
    let name = &network.network.name;
    let subnets: Vec<String> = network
        .network
        .subnets
        .iter()
        .map(IpNet::to_string)
        .collect();
    let title = format!("{} is not in the network `{name}`", written.node);
    let outside = Diagnostic::error(code::ADDRESS_OUTSIDE, title).at(
        written.span,
        format!("`{name}` has {}", subnets.join(" and ")),
    );
    match network.subnet_spans.first() {
        Some(span) => outside.also(*span, "the first subnet of the network"),
        None => outside,
    }
}

/// Returns what speaks against an address of a subnet. Subnets of one or two addresses reserve
/// none; RFC 3021 and RFC 6164.
fn unusable(address: IpAddr, subnet: IpNet, span: Span) -> Option<Diagnostic> {
    if subnet.max_prefix_len() - subnet.prefix_len() < 2 {
        return None;
    }
    if address == subnet.network() {
        return Some(reserved(
            address,
            span,
            &format!("the address of {subnet} itself"),
        ));
    }
    if address.is_ipv4() && address == subnet.broadcast() {
        return Some(reserved(
            address,
            span,
            &format!("the broadcast address of {subnet}"),
        ));
    }
    (Some(address) == after(subnet.network())).then(|| of_gateway(address, span, subnet))
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4
            .to_bits()
            .checked_add(1)
            .map(|next| Ipv4Addr::from_bits(next).into()),
        IpAddr::V6(v6) => v6
            .to_bits()
            .checked_add(1)
            .map(|next| Ipv6Addr::from_bits(next).into()),
    }
}

fn reserved(address: IpAddr, span: Span, what: &str) -> Diagnostic {
    let title = format!("{address} cannot be a container's address");
    Diagnostic::error(code::ADDRESS_UNUSABLE, title).at(span, format!("it is {what}"))
}

fn of_gateway(address: IpAddr, span: Span, subnet: IpNet) -> Diagnostic {
    let title = format!("{address} is usually the bridge's own address");
    Diagnostic::warning(code::GATEWAY_ADDRESS, title)
        .at(span, format!("the first address of {subnet}"))
        .note(
            "Docker gives it to the bridge unless the network was created with another gateway; \
             no container can then have it.",
        )
}

/// Checks that no address is given twice.
fn check_addresses(drafts: &[Draft], diagnostics: &mut Diagnostics) {
    let mut seen: HashMap<IpAddr, (Span, usize)> = HashMap::new();
    for (here, draft) in drafts.iter().enumerate() {
        for (address, span) in &draft.addresses {
            let Some((first, owner)) = seen.get(address) else {
                seen.insert(*address, (*span, here));
                continue;
            };
            let other = drafts.get(*owner).map_or("", |owner| &owner.container.name);
            // A container that is declared twice has been reported as such.
            if *owner == here || other != draft.container.name {
                diagnostics.push(address_twice(*address, *span, *first, other));
            }
        }
    }
}

fn address_twice(address: IpAddr, span: Span, first: Span, owner: &str) -> Diagnostic {
    Diagnostic::error(code::ADDRESS_TWICE, format!("{address} is given twice"))
        .at(span, "given again here")
        .also(first, format!("the address of `{owner}`"))
}
