//! Containers whose address a rule must name, and that have none.

use std::collections::HashSet;

use ipnet::IpNet;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::net::Family;
use crate::policy::containers::Draft;
use crate::policy::ir::{Attachment, ContainerId};
use crate::policy::networks;
use crate::source::Span;

/// Which of a container's addresses a rule needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Need {
    /// Each: a deny without one of them has a hole.
    Every,
    /// At least one: an allow without the others lets less through, not more.
    Some,
}

/// A place that names a container by its addresses.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Use {
    pub(in crate::policy) container: ContainerId,
    pub(in crate::policy) need: Need,
    pub(in crate::policy) span: Span,
}

/// Reports each container that lacks an address once, at the first use that needs it.
pub(in crate::policy) fn check(
    uses: &[Use],
    containers: &[Draft],
    networks: &[networks::Draft],
    diagnostics: &mut Diagnostics,
) {
    let mut reported = HashSet::new();
    let mut checked = HashSet::new();
    for used in uses {
        let again = !checked.insert((used.container, used.need == Need::Every));
        if again || reported.contains(&used.container) {
            continue;
        }
        let draft = containers.get(used.container.0);
        let Some(draft) = draft.filter(|draft| draft.addresses_known) else {
            continue;
        };
        if let Some(missing) = missing(used, draft, networks) {
            reported.insert(used.container);
            diagnostics.push(missing);
        }
    }
}

fn missing(used: &Use, draft: &Draft, networks: &[networks::Draft]) -> Option<Diagnostic> {
    let attachments = &draft.container.attachments;
    match used.need {
        Need::Some if attachments.iter().any(|at| !at.addresses.is_empty()) => None,
        Need::Some => {
            let network = networks.get(attachments.first()?.network.0)?;
            Some(no_address(used, draft, network))
        }
        Need::Every => attachments.iter().find_map(|attachment| {
            let network = networks.get(attachment.network.0)?;
            let (family, subnet) = hole(attachment, network)?;
            Some(has_hole(used, draft, network, family, subnet))
        }),
    }
}

/// Returns a family in which the attachment has no address although the network has subnets.
fn hole(attachment: &Attachment, network: &networks::Draft) -> Option<(Family, IpNet)> {
    let given = |family: Family| attachment.addresses.iter().any(|at| family.has(*at));
    let mut families = Family::BOTH.into_iter().filter(|family| !given(*family));
    families.find_map(|family| {
        let mut subnets = network.network.subnets.iter();
        let subnet = subnets.find(|subnet| family.has(subnet.addr()))?;
        Some((family, *subnet))
    })
}

fn no_address(used: &Use, draft: &Draft, network: &networks::Draft) -> Diagnostic {
    let (name, on) = (&draft.container.name, &network.network.name);
    let subnets: Vec<String> = network
        .network
        .subnets
        .iter()
        .map(IpNet::to_string)
        .collect();
    let title = format!("the address of the container `{name}` is not known");
    Diagnostic::error(code::ADDRESS_NEEDED, title)
        .at(
            used.span,
            format!("a rule for this needs an address of `{name}`"),
        )
        .also(draft.container.span, "declared here without `at`")
        .help(give(on, &subnets.join(" or ")))
}

fn has_hole(
    used: &Use,
    draft: &Draft,
    network: &networks::Draft,
    family: Family,
    subnet: IpNet,
) -> Diagnostic {
    let (name, on) = (&draft.container.name, &network.network.name);
    let title =
        format!("this deny has a hole: the {family} address of `{name}` on `{on}` is not known");
    Diagnostic::error(code::ADDRESS_NEEDED, title)
        .at(used.span, format!("a deny needs every address of `{name}`"))
        .also(
            draft.container.span,
            format!("has no {family} address on `{on}`"),
        )
        .help(give(on, &subnet.to_string()))
}

fn give(network: &str, subnets: &str) -> String {
    format!(
        "give it a fixed address of {subnets}, as in `on {network} at ADDRESS`, or compile with an \
         `--inventory` that knows it"
    )
}
