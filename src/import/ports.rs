//! Published ports, and what of them a policy can say.

use super::draft::{Container, Draft, Published};
use crate::compose::Port;

/// Adds a port to its container. `several` tells that more than one container asks for it.
pub(super) fn publish(port: &Port, several: bool, draft: &Draft, container: &mut Container) {
    let (ports, protocol) = (port.container, port.protocol);
    match translated(port, several, draft, container) {
        Ok(published) if container.published.contains(&published) => {}
        Ok(published) => container.published.push(published),
        Err(reason) => {
            let line = format!(
                "{ports}/{} is published, too, but {reason}",
                protocol.name()
            );
            container.notes.push(line);
            container.exposed.push((ports, protocol));
        }
    }
}

/// Returns the translation, or why there is none to write.
fn translated(
    port: &Port,
    several: bool,
    draft: &Draft,
    container: &Container,
) -> Result<Published, String> {
    let Some(host) = port.host else {
        return Err("Docker picks the host's port".to_owned());
    };
    if several {
        return Err("several containers share the host's ports".to_owned());
    }
    if host.count() != port.container.count() {
        return Err(format!("Docker picks one of the host's ports {host}"));
    }
    let loopback = port.address.filter(|it| it.is_ipv6() && it.is_loopback());
    if let Some(address) = loopback {
        return Err(format!("nothing can be translated from {address}"));
    }
    let published = Published {
        address: port.address,
        host,
        container: port.container,
        protocol: port.protocol,
    };
    // Both families of one port are two entries of an engine; the second changes nothing.
    if !container.published.contains(&published) && is_taken(draft, container, &published) {
        return Err(format!("another container has the host's port {host}"));
    }
    Ok(published)
}

/// Tells whether another port of the draft meets this one on the host.
fn is_taken(draft: &Draft, container: &Container, port: &Published) -> bool {
    let others = draft.containers.iter().flat_map(|it| &it.published);
    let mut all = others.chain(&container.published);
    all.any(|other| {
        let apart = matches!((port.address, other.address), (Some(a), Some(b)) if a != b);
        other.protocol == port.protocol && port.host.intersection(other.host).is_some() && !apart
    })
}
