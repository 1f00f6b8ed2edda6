//! The `engine` setting, and what each release of Docker has.

use std::fmt;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast::{ForwardPolicy, Spanned};

use super::ir::{Backend, Engine, Host, Release};

/// The oldest release whose rules were looked at.
const OLDEST: (u32, u32) = (1, 12);
/// The first release with the chain `DOCKER-USER`, in IPv4.
const DOCKER_USER: (u32, u32) = (17, 6);
/// The first release with `--firewall-backend=nftables`, and with `--bridge-accept-fwmark`.
const NFTABLES: (u32, u32) = (29, 0);
/// The newest major release whose rules were looked at.
const NEWEST: u32 = 29;

impl Engine {
    /// Returns true where Docker keeps a chain for the rules of others, before its own. A policy
    /// that names no version is for a release that does.
    pub fn has_docker_user(self) -> bool {
        match self {
            Engine::Docker {
                release,
                backend: Backend::Iptables,
            } => release.is_none_or(|release| release.first() >= DOCKER_USER),
            Engine::Docker {
                backend: Backend::Nftables,
                ..
            }
            | Engine::None(_)
            | Engine::Podman => false,
        }
    }

    /// Returns true where an engine leads published ports to their containers, and gives what leaves
    /// the host one of its addresses.
    pub fn translates(self) -> bool {
        matches!(self, Engine::Docker { .. } | Engine::Podman)
    }

    /// Returns true where an engine has rules that accept what it publishes and what goes out, so that
    /// a closed FORWARD does not end it. podman has none for new connections from outside.
    pub fn accepts(self) -> bool {
        matches!(self, Engine::Docker { .. })
    }

    /// Returns true where a process of the engine may take connections to published ports, and makes
    /// its own to the container.
    pub fn has_proxy(self) -> bool {
        matches!(self, Engine::Docker { .. })
    }

    /// Returns true where an engine may drop what is routed straight to a container in `raw`.
    pub fn drops_routed(self) -> bool {
        matches!(self, Engine::Docker { .. })
    }

    /// Returns true where containers' published ports are reached at 127.0.0.0/8 by translation, for
    /// which a bridge has to take loopback addresses from the wire: the kernel then no longer refuses
    /// them as sources.
    pub fn routes_loopback(self) -> bool {
        matches!(self, Engine::None(_) | Engine::Podman)
    }

    /// Returns true where Docker's rules are not those of iptables.
    pub fn is_nftables(self) -> bool {
        matches!(
            &self,
            Engine::Docker {
                backend: Backend::Nftables,
                ..
            }
        )
    }
}

impl Release {
    /// Returns major and minor of the first release that this is.
    pub fn first(self) -> (u32, u32) {
        (self.major, self.minor.unwrap_or(0))
    }

    /// Returns true where an engine's major and minor are of this release.
    pub fn has(self, (major, minor): (u32, u32)) -> bool {
        self.major == major && self.minor.is_none_or(|it| it == minor)
    }
}

/// As Docker writes it: 17.03 to 20.10 are named after months.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            None => write!(f, "{}", self.major),
            Some(minor) if (17..=20).contains(&self.major) => {
                write!(f, "{}.{minor:02}", self.major)
            }
            Some(minor) => write!(f, "{}.{minor}", self.major),
        }
    }
}

/// Reads `engine docker [VERSION] [nftables]`.
pub(super) fn docker(
    written: Option<&Spanned<String>>,
    nftables: bool,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Engine {
    let release = written.and_then(|written| known(written, diagnostics));
    let backend = if nftables {
        Backend::Nftables
    } else {
        Backend::Iptables
    };
    let lacks = release.is_some_and(|release| release.first() < NFTABLES);
    if let Some(written) = written.filter(|_| nftables && lacks) {
        diagnostics.push(no_nftables(written, span));
    }
    Engine::Docker { release, backend }
}

fn known(written: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Release> {
    let release = release(&written.node);
    match release {
        None => diagnostics.push(no_version(written)),
        Some(found) if needs_minor(found) => diagnostics.push(ambiguous(written)),
        Some(found) if found.first() < OLDEST => diagnostics.push(too_old(written)),
        Some(found) if found.major > NEWEST => diagnostics.push(too_new(written)),
        Some(_) => {}
    }
    release
}

/// Reads `28`, `28.5`, `28.5.1` or `17.06.2-ce`.
pub fn release(text: &str) -> Option<Release> {
    let release = text.split('-').next()?;
    let parts: Option<Vec<u32>> = release.split('.').map(number).collect();
    match *parts?.as_slice() {
        [major] => Some(Release { major, minor: None }),
        [major, minor] | [major, minor, _] => Some(Release {
            major,
            minor: Some(minor),
        }),
        _ => None,
    }
}

/// Returns true where releases of one major differ in what the policy needs: 1 in what works at all,
/// 17 in `DOCKER-USER`.
fn needs_minor(release: Release) -> bool {
    release.minor.is_none() && [OLDEST.0, DOCKER_USER.0].contains(&release.major)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn no_version(written: &Spanned<String>) -> Diagnostic {
    let title = format!("`{}` is not a version of Docker", written.node);
    Diagnostic::error(code::BAD_VERSION, title)
        .at(
            written.span,
            "a major is needed, or major and minor, as in 28.5",
        )
        .help("take it from `docker version`, under Server")
}

fn ambiguous(written: &Spanned<String>) -> Diagnostic {
    let title = format!("the releases of Docker {} differ", written.node);
    Diagnostic::error(code::BAD_VERSION, title)
        .at(written.span, "its minor is needed, as in 17.06")
        .help("take it from `docker version`, under Server")
}

fn too_old(written: &Spanned<String>) -> Diagnostic {
    let title = format!("Docker {} is too old", written.node);
    Diagnostic::error(code::OLD_ENGINE, title)
        .at(written.span, "1.12 is the oldest that works")
        .note("What older releases do to the rules of others is not known well enough.")
}

fn too_new(written: &Spanned<String>) -> Diagnostic {
    let title = format!("Docker {} is newer than this tidegate", written.node);
    Diagnostic::warning(code::NEW_ENGINE, title)
        .at(written.span, format!("rules are made as for {NEWEST}"))
        .note("What closes sits in chains that no release so far writes to; grants may fail.")
}

fn no_nftables(written: &Spanned<String>, span: Span) -> Diagnostic {
    let title = format!("Docker {} has no nftables backend", written.node);
    Diagnostic::error(code::NO_NFTABLES, title)
        .at(span, "29.0 is the first release with `--firewall-backend`")
        .help("leave out `nftables`")
}

/// Checks what the nftables backend needs of the host's other settings; `engine` is the place of
/// the setting.
pub(super) fn check(host: &Host, engine: Option<Span>, diagnostics: &mut Diagnostics) {
    let Some(engine) = engine.filter(|_| host.engine.is_nftables()) else {
        return;
    };
    if let Some((ForwardPolicy::Drop, forward)) = host.forward {
        diagnostics.push(forward_cuts(forward, engine));
    }
    if !matches!(&host.forwarding, Some((true, _))) {
        diagnostics.push(engine_will_not_start(engine));
    }
}

/// Measured on 29.7: an ACCEPT in one base chain of a hook saves nothing from another.
fn forward_cuts(forward: Span, engine: Span) -> Diagnostic {
    let title = "`forward drop` would cut published ports under Docker's nftables backend";
    Diagnostic::error(code::FORWARD_UNDER_NFTABLES, title)
        .at(forward, "the policy of iptables' FORWARD")
        .also(engine, "Docker accepts in tables of its own")
        .note(
            "A packet has to pass both. Docker accepts published ports in its table \
             `docker-bridges`, and FORWARD would still drop them.",
        )
        .help("leave out `forward`: declared networks are closed without it")
}

/// `checkIPv4Forwarding` of libnetwork's bridge driver, Docker 29.
fn engine_will_not_start(engine: Span) -> Diagnostic {
    let title = "Docker's nftables backend does not start without forwarding";
    Diagnostic::warning(code::NFTABLES_NEEDS_FORWARDING, title)
        .at(engine, "refuses to start while net.ipv4.ip_forward is 0")
        .help("add `forwarding on` to the block")
        .line_behind(engine, "forwarding on")
}
