//! What an inventory adds to a policy: addresses that the policy does not fix.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::facts::Facts;
use crate::source::Span;

use super::containers;
use super::networks::Draft;

/// Drivers whose packets never cross the host's own tables; see Docker's "Packet filtering and
/// firewalls".
const UNGOVERNED: [&str; 2] = ["ipvlan", "macvlan"];

/// Returns what speaks against governing a network of a driver.
pub(super) fn ungoverned(name: &str, driver: &str, span: Span) -> Option<Diagnostic> {
    if !UNGOVERNED.contains(&driver) {
        return None;
    }
    let title = format!("the network `{name}` is of the driver {driver}, which nobody can filter");
    let error = Diagnostic::error(code::UNGOVERNED_NETWORK, title)
        .at(span, "no rule of this host would see its packets")
        .note("Containers of such a network are on the wire themselves, past the host's tables.");
    Some(error.help("take it out of the policy, or make it a bridge network"))
}

/// Checks the networks of an inventory against those of the policy.
pub(super) fn check(inventory: &Facts, networks: &[Draft], diagnostics: &mut Diagnostics) {
    if inventory.live {
        return;
    }
    for draft in networks.iter().filter(|draft| draft.is_whole) {
        let network = &draft.network;
        if let Some(facts) = inventory.networks.get(&network.name) {
            diagnostics.extend(ungoverned(&network.name, &facts.driver, network.span));
        }
        let Some((_, facts)) = inventory.network_of(&network.bridge.0) else {
            diagnostics.push(no_bridge(inventory, draft));
            continue;
        };
        let missing = |subnet: &&IpNet| !network.subnets.contains(*subnet);
        if let Some(subnet) = facts.subnets.iter().find(missing) {
            diagnostics.push(other_subnet(draft, *subnet));
        }
    }
}

/// A network that the engine has not made yet has no addresses to tell.
fn no_bridge(inventory: &Facts, draft: &Draft) -> Diagnostic {
    let (name, bridge) = (&draft.network.name, &draft.network.bridge.0);
    let title = format!("the inventory has no network with the bridge `{bridge}`");
    let warning = Diagnostic::warning(code::NOT_IN_INVENTORY, title)
        .at(draft.network.span, format!("the bridge of `{name}`"));
    let named = inventory.networks.get(name);
    match named.and_then(|facts| facts.bridge.as_deref()) {
        Some(other) => warning.help(format!("the bridge of its `{name}` is `{other}`")),
        None => warning.note("Rules for it wait until the engine makes it."),
    }
}

fn other_subnet(draft: &Draft, subnet: IpNet) -> Diagnostic {
    let name = &draft.network.name;
    let title = format!("the network `{name}` has the subnet {subnet}, says the inventory");
    let error = Diagnostic::error(code::INVENTORY_DIFFERS, title)
        .at(draft.network.span, "the policy does not name it");
    error
        .note("Its containers would have addresses that no rule knows.")
        .help(format!(
            "add {subnet} to `subnet`, or make the inventory anew"
        ))
}

/// Returns the addresses of a container that the policy leaves open.
pub(super) fn addresses(
    inventory: &Facts,
    container: (&str, Span),
    draft: &Draft,
    diagnostics: &mut Diagnostics,
) -> Vec<IpAddr> {
    let found = known(inventory, container.0, draft);
    if inventory.live {
        // One that is not in its network is of nobody: what is missing is closed.
        let here = found.iter().filter(|address| in_network(**address, draft));
        return here.copied().collect();
    }
    for address in found {
        if !in_network(*address, draft) {
            diagnostics.push(outside(*address, container, draft));
        }
    }
    found.to_vec()
}

fn known<'i>(inventory: &'i Facts, container: &str, draft: &Draft) -> &'i [IpAddr] {
    let network = inventory.network_of(&draft.network.bridge.0);
    network.map_or(&[], |(network, _)| inventory.addresses(container, network))
}

fn in_network(address: IpAddr, draft: &Draft) -> bool {
    !draft.is_whole
        || draft
            .network
            .subnets
            .iter()
            .any(|net| net.contains(&address))
}

fn outside(address: IpAddr, (name, span): (&str, Span), draft: &Draft) -> Diagnostic {
    let network = &draft.network.name;
    let title = format!("{address} of `{name}` is not in the network `{network}`");
    Diagnostic::error(code::INVENTORY_DIFFERS, title)
        .at(span, "has no `at`, so that its address is the inventory's")
        .also(draft.network.span, "the network")
        .help("make the inventory anew: `tidegate inventory`")
}

/// Returns a warning where the policy fixes other addresses than the inventory has.
pub(super) fn contradiction(
    inventory: &Facts,
    (name, span): (&str, Span),
    draft: &Draft,
    written: &[IpAddr],
) -> Option<Diagnostic> {
    let known = known(inventory, name, draft);
    if inventory.live {
        return None;
    }
    let other = known.iter().find(|address| !written.contains(address))?;
    let title = format!("the inventory has another address of `{name}`: {other}");
    let warning = Diagnostic::warning(code::INVENTORY_STALE, title)
        .at(span, "rules are made for the `at` that is written here")
        .help("start the container with the address that the policy says");
    Some(warning)
}

/// Returns a warning about the containers whose addresses are the inventory's.
pub(super) fn of_now<'d>(
    drafts: impl Iterator<Item = &'d containers::Draft>,
) -> Option<Diagnostic> {
    let names: Vec<_> = drafts.map(|draft| &draft.container).collect();
    let first = names.first()?;
    let title = match names.len() {
        1 => format!("`{}` has the address that the inventory found", first.name),
        more => format!("{more} containers have the addresses that the inventory found"),
    };
    let warning = Diagnostic::warning(code::ADDRESS_OF_NOW, title)
        .at(first.span, "has no `at`")
        .note(
            "Docker may give another container that address when they start again, and with it \
             what the policy opens for this one.",
        )
        .help("fix it with `at` and `docker run --ip`, or compile anew whenever containers start");
    Some(warning)
}
