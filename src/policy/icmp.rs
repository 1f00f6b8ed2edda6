//! ICMP types by name; numbers of IANA's registries of ICMP and `ICMPv6` parameters.

use crate::diag::{Diagnostic, Diagnostics, code, suggest};
use crate::syntax::ast::Name;

use super::ir::IcmpType;

const fn entry(name: &'static str, v4: Option<u8>, v6: Option<u8>) -> IcmpType {
    IcmpType { name, v4, v6 }
}

/// The types that have a name here, as iptables and ip6tables spell them.
const TYPES: [IcmpType; 15] = [
    entry("address-mask-reply", Some(18), None),
    entry("address-mask-request", Some(17), None),
    entry("destination-unreachable", Some(3), Some(1)),
    entry("echo-reply", Some(0), Some(129)),
    entry("echo-request", Some(8), Some(128)),
    entry("neighbour-advertisement", None, Some(136)),
    entry("neighbour-solicitation", None, Some(135)),
    entry("packet-too-big", None, Some(2)),
    entry("parameter-problem", Some(12), Some(4)),
    entry("redirect", Some(5), Some(137)),
    entry("router-advertisement", Some(9), Some(134)),
    entry("router-solicitation", Some(10), Some(133)),
    entry("time-exceeded", Some(11), Some(3)),
    entry("timestamp-reply", Some(14), None),
    entry("timestamp-request", Some(13), None),
];

/// Looks up a type, or returns `None` after an error.
pub(super) fn find(name: &Name, diagnostics: &mut Diagnostics) -> Option<IcmpType> {
    let found = TYPES.iter().find(|known| known.name == name.node);
    if found.is_none() {
        diagnostics.push(unknown(name));
    }
    found.copied()
}

fn unknown(name: &Name) -> Diagnostic {
    let title = format!("there is no ICMP type `{}`", name.node);
    let unknown =
        Diagnostic::error(code::UNKNOWN_ICMP_TYPE, title).at(name.span, "not a type's name");
    let known = TYPES.iter().map(|known| known.name);
    if name.node == "ping" {
        let help = "a ping is an `echo-request`; its answer passes as a part of it";
        return unknown.help(help).fix(name.span, "echo-request");
    }
    if let Some(near) = suggest::nearest(&name.node, known.clone()) {
        return unknown
            .help(format!("did you mean `{near}`?"))
            .fix(name.span, near);
    }
    let names: Vec<&str> = known.collect();
    unknown.help(format!("the names are {}", names.join(", ")))
}
