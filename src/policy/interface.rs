//! Names of network interfaces.

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::syntax::ast::Name;

use super::ir::IfName;

/// `IFNAMSIZ` of the kernel's include/uapi/linux/if.h without the byte that ends the text.
const MAX_BYTES: usize = 15;

/// Reads the name of an interface, or returns `None` after an error.
pub(super) fn name(written: &Name, diagnostics: &mut Diagnostics) -> Option<IfName> {
    let Some(why) = flaw(&written.node) else {
        return Some(IfName(written.node.clone()));
    };
    let title = format!("`{}` cannot name an interface", written.node);
    diagnostics.push(Diagnostic::error(code::BAD_INTERFACE, title).at(written.span, why));
    None
}

/// Returns what is wrong with a name. Stricter than `dev_valid_name` in the kernel's
/// net/core/dev.c: `+` is a wildcard to iptables, and a leading `-` an option.
fn flaw(name: &str) -> Option<String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if let Some(bad) = name.chars().find(|letter| !allowed(*letter)) {
        let bad = bad.escape_debug();
        return Some(format!(
            "`{bad}` cannot be in it; letters, digits, `-`, `_` and `.` can"
        ));
    }
    match name {
        "" => Some("it is empty".to_owned()),
        "." | ".." => Some("it would name a folder of /proc".to_owned()),
        "all" | "default" => Some("the kernel's settings use it for every interface".to_owned()),
        "lo" => Some("it is the loopback interface".to_owned()),
        _ if name.starts_with('-') => Some("it starts with `-`".to_owned()),
        _ if name.len() > MAX_BYTES => Some(format!(
            "it has {} bytes, and the kernel takes {MAX_BYTES}",
            name.len()
        )),
        _ => None,
    }
}
