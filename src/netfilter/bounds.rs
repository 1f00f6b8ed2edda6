//! What iptables and the kernel take of a rule set, and a family's text held against it.
//!
//! What passes these bounds would be refused by the machine that it is for, at boot for one. How many
//! rules there may be is counted where they are made.

use thiserror::Error;

use super::Table;
use super::nesting::Links;
use super::save::{self, SaveError, TableText, Tables, target, words};

/// Most chains below each other, counted from the one that a hook leads to. nftables follows 16 jumps in
/// all (`NFT_JUMP_STACK_SIZE`), and chains of the kernel and of an engine lie above.
pub const DEPTH: usize = 12;
/// Most jumps, each counted as often as there are ways to it: kernels before 6.19 walk them all at each
/// load by nftables, later ones may refuse more (`nf_tables_jumps_max_netns`).
pub const JUMPS: usize = 65_536;
/// Bytes of a chain's name (`XT_EXTENSION_MAXNAMELEN` less its end).
pub const NAME: usize = 28;
/// Bytes of a comment (`XT_MAX_COMMENT_LEN` less its end); iptables cuts longer ones without a word.
pub const COMMENT: usize = 255;
/// Bytes that the kernel's log gets in front of a packet (`nf_log_info` of `xt_LOG.h`, less its end).
pub const LOG_PREFIX: usize = 29;
/// Ports of a `multiport`; a range takes two (`XT_MULTI_PORTS`).
pub const PORTS: usize = 15;

/// Options whose values have a bound, and what is counted in them.
const VALUES: [(&str, &str, usize); 3] = [
    ("--comment", "bytes in a comment", COMMENT),
    ("--dports", "ports in a multiport", PORTS),
    ("--log-prefix", "bytes in a log prefix", LOG_PREFIX),
];

/// A bound that a text passes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Beyond {
    #[error("{jumps} jumps on all ways through the rules, of which kernels follow {JUMPS}")]
    Jumps { jumps: usize },
    #[error("chain {chain} in {table} leads through {depth} chains, or in a circle; {DEPTH} load")]
    Depth {
        table: &'static str,
        chain: String,
        depth: usize,
    },
    #[error("a rule in {table} leads to {chain}, which is not there")]
    Missing { table: &'static str, chain: String },
    #[error("{chain} is longer than a chain's name may be, {NAME} bytes")]
    Name { chain: String },
    #[error("{found} {what} of a rule in {chain}, of which iptables takes {most}")]
    Value {
        chain: String,
        what: &'static str,
        found: usize,
        most: usize,
    },
    #[error(transparent)]
    Unread(#[from] SaveError),
}

/// Returns the first bound that the text of one family's rules passes.
pub fn check(text: &str) -> Result<(), Beyond> {
    let tables = save::parse(text)?;
    for table in Table::ALL {
        let Some(text) = tables.table(table) else {
            continue;
        };
        for hook in &text.inserts {
            check_rule(text, (table, &hook.chain), &hook.rule)?;
        }
        for (name, chain) in &text.chains {
            check_name(name)?;
            for rule in chain.rules.iter() {
                check_rule(text, (table, name), rule)?;
            }
        }
    }
    check_nesting(&tables)
}

fn check_rule(text: &TableText, (table, chain): (Table, &str), rule: &str) -> Result<(), Beyond> {
    check_values(chain, rule)?;
    match next(rule).filter(|next| !text.chains.contains_key(*next)) {
        None => Ok(()),
        Some(next) => Err(Beyond::Missing {
            table: table.name(),
            chain: next.to_owned(),
        }),
    }
}

/// Returns the chain that a rule leads to: all of ours have such a name, and no verdict has.
fn next(rule: &str) -> Option<&str> {
    target(rule).filter(|name| name.starts_with("TIDE-"))
}

fn check_name(chain: &str) -> Result<(), Beyond> {
    let fits = chain.len() <= NAME;
    fits.then_some(()).ok_or_else(|| Beyond::Name {
        chain: chain.to_owned(),
    })
}

fn check_values(chain: &str, rule: &str) -> Result<(), Beyond> {
    let mut words = words(rule);
    while let Some(word) = words.next() {
        let bound = VALUES.iter().find(|(option, _, _)| *option == word);
        let Some((option, what, most)) = bound else {
            continue;
        };
        let value = words.next().unwrap_or("").trim_matches('"');
        let found = match *option {
            "--dports" => value.split([',', ':']).count(),
            _ => value.len(),
        };
        if found > *most {
            return Err(Beyond::Value {
                chain: chain.to_owned(),
                what,
                found,
                most: *most,
            });
        }
    }
    Ok(())
}

fn check_nesting(tables: &Tables) -> Result<(), Beyond> {
    let all = Table::ALL.into_iter();
    let texts = all.filter_map(|table| Some((table, tables.table(table)?)));
    let chains = texts.clone().flat_map(|(table, text)| {
        let chains = text.chains.iter();
        chains.map(move |(name, chain)| {
            let leads = chain.rules.iter().filter_map(next).collect();
            ((table, name.as_str()), leads)
        })
    });
    let links = Links::of(chains);
    let hooked = texts.flat_map(|(table, text)| {
        let hooked = text.inserts.iter().filter_map(|it| next(&it.rule));
        hooked.map(move |chain| (table, chain))
    });
    for (table, chain) in hooked.clone() {
        let depth = links.deepest(std::iter::once((table, chain)));
        if depth > DEPTH {
            return Err(Beyond::Depth {
                table: table.name(),
                chain: chain.to_owned(),
                depth,
            });
        }
    }
    let jumps = links.jumps(hooked);
    if jumps > JUMPS {
        return Err(Beyond::Jumps { jumps });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a text whose hook leads through so many chains below each other.
    fn nested(depth: usize) -> String {
        let declared = (1..=depth).map(|at| format!(":TIDE-{at} - [0:0]\n"));
        let leads = (1..depth).map(|at| format!("-A TIDE-{at} -g TIDE-{}\n", at + 1));
        let chains: Vec<String> = declared.chain(leads).collect();
        let chains = chains.concat();
        format!("*mangle\n{chains}-I FORWARD -j TIDE-1\nCOMMIT\n")
    }

    fn of_rule(rule: &str) -> Result<(), Beyond> {
        check(&format!(
            "*filter\n:TIDE-A - [0:0]\n-A TIDE-A {rule}\nCOMMIT\n"
        ))
    }

    fn said(text: &str) -> String {
        check(text).map_or_else(|beyond| beyond.to_string(), |()| "fits".to_owned())
    }

    #[test]
    fn chains_nest_twelve_deep() {
        assert_eq!(check(&nested(DEPTH)), Ok(()));
        let message = "chain TIDE-1 in mangle leads through 13 chains, or in a circle; 12 load";
        assert_eq!(said(&nested(DEPTH + 1)), message);
        let circle = nested(3).replace("-I", "-A TIDE-3 -j TIDE-1\n-I");
        assert!(matches!(check(&circle), Err(Beyond::Depth { .. })));
    }

    #[test]
    fn jumps_count_on_every_way() {
        let fan = |jumps: usize| {
            let calls = "-A TIDE-1 -j TIDE-2\n".repeat(jumps);
            nested(2).replace("-A TIDE-1 -g TIDE-2\n", &calls)
        };
        // The hook's own is one.
        assert_eq!(check(&fan(JUMPS - 1)), Ok(()));
        assert_eq!(check(&fan(JUMPS)), Err(Beyond::Jumps { jumps: JUMPS + 1 }));
    }

    #[test]
    fn names_and_values_have_their_lengths() {
        let ports = |count: usize| vec!["80"; count].join(",");
        for (rule, most) in [
            ("--comment \"{}\"", COMMENT),
            ("--log-prefix \"{}\"", LOG_PREFIX),
        ] {
            let long = |length| rule.replace("{}", &"x".repeat(length));
            assert_eq!(of_rule(&long(most)), Ok(()));
            assert!(matches!(
                of_rule(&long(most + 1)),
                Err(Beyond::Value { .. })
            ));
        }
        assert_eq!(of_rule(&format!("--dports {}", ports(PORTS))), Ok(()));
        let one_more = format!("--dports 1:2,{}", ports(PORTS - 1));
        assert!(matches!(
            of_rule(&one_more),
            Err(Beyond::Value { found: 16, .. })
        ));
        let named = |length: usize| {
            let name = format!("TIDE-{}", "x".repeat(length - "TIDE-".len()));
            check(&format!("*raw\n:{name} - [0:0]\nCOMMIT\n"))
        };
        assert_eq!(named(NAME), Ok(()));
        assert!(matches!(named(NAME + 1), Err(Beyond::Name { .. })));
    }

    #[test]
    fn a_chain_that_is_led_to_is_there() {
        assert!(matches!(of_rule("-j TIDE-B"), Err(Beyond::Missing { .. })));
        assert_eq!(
            of_rule("-m comment --comment \"-j TIDE-B\" -j DROP"),
            Ok(())
        );
    }
}
