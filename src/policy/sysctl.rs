//! Kernel settings that the `host` block writes by itself.

use std::collections::HashMap;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast::Spanned;

use super::ir::Sysctl;

const MAX_VALUE: usize = 256;

/// Keys that follow from other parts of the policy, and which.
const OWNED: [(&str, &str); 5] = [
    ("net/bridge/bridge-nf-call-ip6tables", BRIDGE),
    ("net/bridge/bridge-nf-call-iptables", BRIDGE),
    ("net/ipv4/conf/all/forwarding", FORWARDING),
    ("net/ipv4/ip_forward", FORWARDING),
    ("net/ipv6/conf/all/forwarding", FORWARDING),
];

const BRIDGE: &str = "leave it out: it follows from the networks (`icc`, links and allows)";
const FORWARDING: &str = "write `forwarding on` or `forwarding off` instead";

/// The settings met so far.
#[derive(Debug, Default)]
pub(super) struct Sysctls {
    list: Vec<Sysctl>,
    seen: HashMap<String, Span>,
}

impl Sysctls {
    pub(super) fn add(
        &mut self,
        key: &Spanned<String>,
        value: &Spanned<String>,
        span: Span,
        diagnostics: &mut Diagnostics,
    ) {
        if let Some(why) = value_flaw(&value.node) {
            diagnostics.push(bad_value(value, &why));
        }
        let path = match path(&key.node) {
            Ok(path) => path,
            Err(why) => return diagnostics.push(bad_key(key, &why)),
        };
        if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| *owned == path) {
            return diagnostics.push(owned(&key.node, key.span, instead));
        }
        if let Some(first) = self.seen.get(&path) {
            return diagnostics.push(twice(key, *first));
        }
        self.seen.insert(path, key.span);
        self.list.push(Sysctl {
            key: key.node.clone(),
            value: value.node.clone(),
            span,
        });
    }

    pub(super) fn into_list(self) -> Vec<Sysctl> {
        self.list
    }
}

/// Returns the key as a path below /proc/sys. As sysctl.d(5) has it, the separator that comes
/// first is the one, and the other is then a letter, `.` and `/` swapped.
pub(super) fn path(key: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_./-".contains(letter);
    if let Some(bad) = key.chars().find(|letter| !allowed(*letter)) {
        return Err(format!("`{}` cannot be in a key", bad.escape_debug()));
    }
    if key.starts_with('-') {
        return Err("a leading `-` would hide errors".to_owned());
    }
    if key.contains("..") || key.split(['.', '/']).any(str::is_empty) {
        return Err("a part of the key is empty".to_owned());
    }
    let swap = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    match key.chars().find(|letter| "./".contains(*letter)) {
        None => Err("a key has several parts, as in `net.core.somaxconn`".to_owned()),
        Some('.') => Ok(key.chars().map(swap).collect()),
        Some(_) => Ok(key.to_owned()),
    }
}

fn value_flaw(value: &str) -> Option<String> {
    let printable = |letter: char| letter == ' ' || letter.is_ascii_graphic();
    if let Some(bad) = value.chars().find(|letter| !printable(*letter)) {
        return Some(format!("`{}` cannot be in a value", bad.escape_debug()));
    }
    if value.trim().is_empty() {
        return Some("it is empty".to_owned());
    }
    (value.len() > MAX_VALUE).then(|| format!("it has more than {MAX_VALUE} bytes"))
}

fn bad_key(key: &Spanned<String>, why: &str) -> Diagnostic {
    let title = format!("`{}` cannot name a kernel setting", key.node.escape_debug());
    Diagnostic::error(code::BAD_SYSCTL_KEY, title).at(key.span, why)
}

fn bad_value(value: &Spanned<String>, why: &str) -> Diagnostic {
    let title = "this cannot be a kernel setting's value";
    Diagnostic::error(code::BAD_SYSCTL_VALUE, title).at(value.span, why)
}

pub(super) fn owned(key: &str, span: Span, instead: &str) -> Diagnostic {
    let title = format!("`{key}` follows from the policy");
    Diagnostic::error(code::SYSCTL_OWNED, title)
        .at(span, "tidegate writes this key itself")
        .help(instead)
}

fn twice(key: &Spanned<String>, first: Span) -> Diagnostic {
    let title = format!("`{}` is set twice", key.node);
    Diagnostic::error(code::SYSCTL_TWICE, title)
        .at(key.span, "set again here")
        .also(first, "first set here")
        .note("Of two values only one would be in force.")
}
