//! A way out that no rule sees: the engine's resolver.

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Engine, Network, Policy};

/// The last major release of Docker that is known to ask from the container's own namespace.
const ASKS_FROM_CONTAINER: u32 = 20;

/// Warns of each network without a way out whose containers may send names out through the engine.
pub(super) fn check(policies: &[Policy]) -> Vec<Diagnostic> {
    let asked = |policy: &&Policy| match policy.host.engine {
        Engine::Docker { release, .. } => release.is_some_and(|it| it.major > ASKS_FROM_CONTAINER),
        Engine::None(_) => false,
        // aardvark-dns runs on the host.
        Engine::Podman => true,
    };
    let networks = policies
        .iter()
        .filter(asked)
        .flat_map(|policy| &policy.networks);
    let closed = networks.filter(|network| network.local && !network.egress);
    closed.map(asks).collect()
}

fn asks(network: &Network) -> Diagnostic {
    let title = format!(
        "`{}` has no way out, but names of its containers may",
        network.name
    );
    Diagnostic::warning(code::NAMES_LEAVE, title)
        .at(
            network.span,
            "`egress off`, and the engine asks name servers for it",
        )
        .note("Docker's resolver may ask from the host, where no rule tells it from the host.")
        .help("make the network `internal` for Docker, or leave it so with `--allow T0616`")
}
