//! What an answer about this machine leaves out: rules of nftables that are not followed.

use super::Done;
use crate::diag::code;
use crate::host::{Host, HostError};
use crate::netfilter::Family;
use crate::netfilter::nftables::{self, Unread};

/// How many chains are named.
const NAMED: usize = 5;

/// Returns an answer as it is, or with what may change it, and without a yes.
pub(super) fn add(mut done: Done, host: &dyn Host, families: &[Family]) -> Done {
    if let Some(said) = beside(host, families) {
        done.warnings.push_str(&said);
        done.yes = false;
    }
    done
}

/// Says which rules of others an answer about these families leaves out; nothing where there are none.
fn beside(host: &dyn Host, families: &[Family]) -> Option<String> {
    let why = match host.nftables() {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(ruleset) => {
                let mut all = nftables::unread(&ruleset);
                all.retain(|it| families.iter().any(|family| it.concerns(*family)));
                return (!all.is_empty()).then(|| said(&named(&all)));
            }
            Err(error) => format!("what nft prints is not understood: {error}"),
        },
        // Without the module no kernel has tables of nftables.
        Err(HostError::NoCommand(_)) if !host.has_module("nf_tables") => return None,
        Err(error) => format!("whether there are any is not known: {error}"),
    };
    Some(said(&why))
}

fn said(what: &str) -> String {
    format!(
        "error[{}]: rules of nftables are not followed, and may decide otherwise: {what}\n\
         help: `nft list ruleset` shows them\n",
        code::ANSWER_OPEN
    )
}

fn named(all: &[Unread]) -> String {
    let mut names: Vec<String> = all.iter().take(NAMED).map(ToString::to_string).collect();
    if all.len() > NAMED {
        names.push(format!("{} more", all.len() - NAMED));
    }
    names.join(", ")
}
