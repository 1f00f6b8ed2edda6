//! Loads a bundle where it can do no harm, and compares what comes back.
//!
//! `iptables-restore --test` is no proof: the nft variant accepts jumps to chains that are not
//! there, and loops, which the real load then refuses.

use super::error::{Difference, Problem};
use super::plan::transaction;
use super::state::TideState;
use crate::host::{Host, HostError};
use crate::netfilter::save::{self, RuleLines, Tables};
use crate::netfilter::{Family, Table};

/// A machine on which Docker has just started, as far as the rules need it.
const STAND_IN: &str = "\
*filter
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
COMMIT
";

/// Loads the rules from scratch in a namespace of their own and compares every chain.
pub(super) fn rehearse(host: &dyn Host, family: Family, wanted: &TideState) -> Result<(), Problem> {
    let stand_in = read(family, STAND_IN)?;
    let Some(text) = transaction(&stand_in, wanted) else {
        return Ok(());
    };
    let loaded = host.rehearse(family, &[STAND_IN, &text]);
    let loaded = loaded.map_err(|error| match error {
        HostError::Command { .. } => Problem::Rejected { family, error },
        other => other.into(),
    })?;
    let loaded = read(family, &loaded)?;
    for table in Table::ALL {
        compare(family, table, &loaded, wanted)?;
    }
    Ok(())
}

fn read(family: Family, text: &str) -> Result<Tables, Problem> {
    save::parse(text).map_err(|error| Problem::Unreadable { family, error })
}

fn compare(
    family: Family,
    table: Table,
    loaded: &Tables,
    wanted: &TideState,
) -> Result<(), Problem> {
    let chains = wanted.table(table).map(|table| &table.chains);
    let nothing = RuleLines::default();
    for (chain, rules) in chains.into_iter().flatten() {
        let found = loaded.chain(table, chain);
        let found = found.map_or(&nothing, |chain| &chain.rules);
        if let Some((rule, wanted, found)) = first_difference(rules, found) {
            return Err(Problem::Differs(Box::new(Difference {
                family,
                table,
                chain: chain.clone(),
                rule,
                wanted,
                found,
            })));
        }
    }
    Ok(())
}

fn first_difference(wanted: &RuleLines, found: &RuleLines) -> Option<(usize, String, String)> {
    if wanted == found {
        return None;
    }
    let (mut wanted, mut found) = (wanted.iter(), found.iter());
    let mut number = 0;
    loop {
        number += 1;
        match (wanted.next(), found.next()) {
            (None, None) => return None,
            (wanted, found) if wanted == found => {}
            (wanted, found) => {
                let [wanted, found] = [wanted, found].map(Option::unwrap_or_default);
                return Some((number, wanted.to_owned(), found.to_owned()));
            }
        }
    }
}
