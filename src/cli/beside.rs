//! What an answer about this machine leaves out: rules of nftables that are not followed.

use serde_json::Value;

use super::Done;
use super::failure::left_out;
use crate::host::{Host, HostError, LinuxHost};
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

/// Says which chains of nftables decide beside rules that are in force; nothing where there are none,
/// or no nft that would tell.
pub(super) fn note(host: &LinuxHost) -> Vec<String> {
    let all = chains(host).unwrap_or_default();
    if all.is_empty() {
        return Vec::new();
    }
    let named = named(&all);
    vec![format!(
        "rules of nftables were not compared with the policy, and are asked as well: {named}"
    )]
}

/// Looks at the tables of others alone: those of iptables hold the policy's rules, and may be large.
fn chains(host: &LinuxHost) -> Option<Vec<Unread>> {
    let read = |text: String| serde_json::from_str::<Value>(&text).ok();
    let list = read(host.nft_chains().ok()?)?;
    let mut all = Vec::new();
    for (family, table) in nftables::foreign_tables(&list) {
        all.extend(nftables::unread(&read(
            host.nft_table(family, table).ok()?,
        )?));
    }
    all.retain(|chain| !chain.hook.is_empty());
    Some(all)
}

/// Says which rules of others an answer about these families leaves out; nothing where there are none.
fn beside(host: &dyn Host, families: &[Family]) -> Option<String> {
    let why = match host.nftables() {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(ruleset) => {
                let mut all = nftables::unread(&ruleset);
                all.retain(|it| families.iter().any(|family| it.concerns(*family)));
                return (!all.is_empty()).then(|| left_out(&named(&all)));
            }
            Err(error) => format!("what nft prints is not understood: {error}"),
        },
        // Without the module no kernel has tables of nftables.
        Err(HostError::NoCommand(_)) if !host.has_module("nf_tables") => return None,
        Err(error) => format!("whether there are any is not known: {error}"),
    };
    Some(left_out(&why))
}

fn named(all: &[Unread]) -> String {
    let mut names: Vec<String> = all.iter().take(NAMED).map(ToString::to_string).collect();
    if all.len() > NAMED {
        names.push(format!("{} more", all.len() - NAMED));
    }
    names.join(", ")
}
