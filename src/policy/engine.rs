//! The `engine` setting, and what each release of Docker has.

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast::{ForwardPolicy, Spanned};

use super::ir::{Backend, Engine, Host};

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
                version,
                backend: Backend::Iptables,
            } => version.is_none_or(|version| version >= DOCKER_USER),
            Engine::Docker {
                backend: Backend::Nftables,
                ..
            }
            | Engine::None(_) => false,
        }
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

/// Reads `engine docker [VERSION] [nftables]`.
pub(super) fn docker(
    written: Option<&Spanned<String>>,
    nftables: bool,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Engine {
    let version = written.and_then(|written| known(written, diagnostics));
    let backend = if nftables {
        Backend::Nftables
    } else {
        Backend::Iptables
    };
    if let Some(written) = written.filter(|_| nftables && version < Some(NFTABLES)) {
        diagnostics.extend(version.map(|_| no_nftables(written, span)));
    }
    Engine::Docker { version, backend }
}

fn known(written: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<(u32, u32)> {
    let version = version(&written.node);
    match version {
        None => diagnostics.push(no_version(written)),
        Some(found) if found < OLDEST => diagnostics.push(too_old(written)),
        Some((major, _)) if major > NEWEST => diagnostics.push(too_new(written)),
        Some(_) => {}
    }
    version
}

/// Reads major and minor of `28.5`, `28.5.1` or `17.06.2-ce`.
fn version(text: &str) -> Option<(u32, u32)> {
    let release = text.split('-').next()?;
    let mut parts = release.split('.').map(number);
    let found = (parts.next()??, parts.next()??);
    let rest: Vec<_> = parts.collect();
    (rest.len() <= 1 && rest.iter().all(Option::is_some)).then_some(found)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn no_version(written: &Spanned<String>) -> Diagnostic {
    let title = format!("`{}` is not a version of Docker", written.node);
    Diagnostic::error(code::BAD_VERSION, title)
        .at(written.span, "major and minor are needed, as in 28.5")
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
