//! Published ports offered to containers that cannot be told by then.

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::policy::containers::Draft;
use crate::policy::ir::Party;
use crate::policy::networks;

/// Warns of each published exposure that is offered to containers of another host: they come to a port
/// of this one with their host's address.
pub(in crate::policy) fn check(
    containers: &[Draft],
    networks: &[networks::Draft],
    diagnostics: &mut Diagnostics,
) {
    for draft in containers {
        let here = draft.host(networks);
        let published = draft
            .container
            .exposures
            .iter()
            .filter(|it| it.published.is_some());
        for exposure in published {
            let elsewhere = exposure.from.iter().find_map(|party| {
                let (name, host) = place(*party, containers, networks)?;
                (host != here).then_some(name)
            });
            if let Some(name) = elsewhere {
                let offered = &draft.container.name;
                let title =
                    format!("a published port cannot know `{name}`, which is on another host");
                diagnostics.push(
                    Diagnostic::warning(code::OFFER_LOST, title)
                        .at(exposure.span, format!("nothing that comes here is from `{name}`"))
                        .note("A connection to another host leaves with the address of its own host, not the container's.")
                        .help(format!("write `link {name} -> {offered}`, or an `allow` to the container")),
                );
            }
        }
    }
}

/// Returns the name and host of a container or a network.
fn place<'d>(
    party: Party,
    containers: &'d [Draft],
    networks: &'d [networks::Draft],
) -> Option<(&'d str, usize)> {
    match party {
        Party::Container(id) => {
            let draft = containers.get(id.0)?;
            Some((&draft.container.name, draft.host(networks)))
        }
        Party::Network(id) => {
            let draft = networks.get(id.0)?;
            Some((&draft.network.name, draft.host))
        }
        Party::Any | Party::Host | Party::Outside | Party::Trust(_) => None,
    }
}
