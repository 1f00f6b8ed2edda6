//! `route PREFIX via ADDRESS [dev INTERFACE]`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast::{Name, Spanned};

use super::ir::Route;
use super::{interface, literal};

/// Reads one route, or returns `None` after an error.
pub(super) fn read(
    prefix: &Spanned<String>,
    via: &Spanned<String>,
    device: Option<&Name>,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Option<Route> {
    let net = literal::prefix(&prefix.node);
    let net = net.map_err(|flaw| diagnostics.push(flaw.diagnostic(&prefix.node, prefix.span)));
    let gateway = literal::address(&via.node);
    let gateway = gateway.map_err(|flaw| diagnostics.push(flaw.diagnostic(&via.node, via.span)));
    let named = device.map(|name| interface::name(name, diagnostics));
    let (net, gateway) = (net.ok()?, gateway.ok()?);
    if let Some(flaw) = flaw(net, gateway, (prefix, via)) {
        diagnostics.push(flaw);
        return None;
    }
    let device = match named {
        Some(None) => return None,
        Some(Some(device)) => Some(device),
        None => None,
    };
    Some(Route {
        prefix: net,
        via: gateway,
        device,
        span,
    })
}

fn flaw(
    net: IpNet,
    gateway: IpAddr,
    (prefix, via): (&Spanned<String>, &Spanned<String>),
) -> Option<Diagnostic> {
    let error = |title: &str, span, text| {
        Diagnostic::error(code::BAD_ROUTE, title.to_owned()).at(span, text)
    };
    if net.prefix_len() == 0 {
        let text = "leads everything to another host";
        let error = error("a policy cannot set the default route", prefix.span, text);
        return Some(error.help("name the subnets of the other host's networks"));
    }
    if net.addr().is_ipv4() != gateway.is_ipv4() {
        let text = "an address of the other family";
        let error = error("a route and its next hop are of one family", via.span, text);
        return Some(error.also(prefix.span, "of this family"));
    }
    if net.contains(&gateway) {
        let text = "the next hop is inside it";
        return Some(
            error("a route cannot lead to its own next hop", prefix.span, text)
                .also(via.span, "the next hop"),
        );
    }
    None
}
