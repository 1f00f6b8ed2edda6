//! `limit` on an exposure.

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast::{Expose, Limit, LimitKind, Spanned};

use super::ir::{ConnectionLimit, Limits, RateLimit};
use super::settings;

/// What iptables takes for `--hashlimit-burst` where none is given.
const DEFAULT_BURST: u32 = 5;
/// The most that every release of iptables takes (`XT_HASHLIMIT_BURST_MAX_v1`).
const MAX_BURST: u32 = 10_000;
/// Far beyond what the kernel walks through for each new connection in bearable time.
const MAX_CONNECTIONS: u32 = 1_000_000;

/// Reads the limits of one statement.
pub(super) fn read(expose: &Expose, diagnostics: &mut Diagnostics) -> Limits {
    let mut limits = Limits::default();
    let mut seen: [Option<Span>; 2] = [None; 2];
    for limit in &expose.limits {
        let flaw = match limit.node.kind {
            LimitKind::Rate { rate, burst } => settings::flaw(rate).or_else(|| burst_flaw(burst)),
            LimitKind::Connections(count) => count_flaw(count),
        };
        diagnostics.extend(flaw.map(|why| bad_limit(limit.span, &why)));
        let place = usize::from(matches!(&limit.node.kind, LimitKind::Connections(_)));
        if let Some(first) = seen
            .get_mut(place)
            .and_then(|seen| seen.replace(limit.span))
        {
            diagnostics.push(twice(limit.span, first));
        }
        add(&mut limits, limit.node);
    }
    if let Some(limit) = expose.limits.first().filter(|_| expose.from.is_none()) {
        // A published port without `from` is a mistake of its own.
        diagnostics.extend(expose.published.is_none().then(|| of_nobody(limit)));
    }
    limits
}

fn add(limits: &mut Limits, limit: Limit) {
    let per_source = limit.per_source;
    match limit.kind {
        LimitKind::Connections(count) => {
            limits.connections = Some(ConnectionLimit { count, per_source });
        }
        LimitKind::Rate { rate, burst } => {
            limits.rate = Some(RateLimit {
                rate,
                burst: burst.unwrap_or(DEFAULT_BURST),
                per_source,
            });
        }
    }
}

fn burst_flaw(burst: Option<u32>) -> Option<String> {
    match burst {
        Some(0) => Some("a burst of 0 lets nobody in".to_owned()),
        Some(burst) if burst > MAX_BURST => Some(format!("a burst has at most {MAX_BURST}")),
        _ => None,
    }
}

fn count_flaw(count: u32) -> Option<String> {
    match count {
        0 => Some("0 connections let nobody in".to_owned()),
        count if count > MAX_CONNECTIONS => Some(format!("at most {MAX_CONNECTIONS} are counted")),
        _ => None,
    }
}

fn bad_limit(span: Span, why: &str) -> Diagnostic {
    Diagnostic::error(code::BAD_RATE, "the kernel cannot keep this limit").at(span, why)
}

fn twice(span: Span, first: Span) -> Diagnostic {
    let title = "two limits of one kind for one exposure";
    Diagnostic::error(code::DUPLICATE_SETTING, title)
        .at(span, "limited again here")
        .also(first, "first limited here")
        .help("an exposure has one rate and one number of connections")
}

fn of_nobody(limit: &Spanned<Limit>) -> Diagnostic {
    let title = "a limit for nobody";
    Diagnostic::error(code::LIMIT_OF_NOBODY, title)
        .at(limit.span, "this exposure has no `from`")
        .note("A limit is for those in `from`; links and allows are not limited.")
        .help("say `from` whom, or leave out the limit")
}
