//! From the policy to rules, one plain list per chain; docs/rules.md draws the chains.
//!
//! A packet meets the policy once, in `mangle` FORWARD, where no engine writes and where it already
//! carries its destination after DNAT. Three things may happen to it there: DROP; RETURN, after
//! which the engine's own rules decide; or the grant bit, which `filter` turns into an ACCEPT that
//! the engine's own rules cannot take back.

mod aims;
mod denied;
mod forward;
mod host;
mod limits;
mod others;
mod own;
mod publish;
mod raw;
mod say;
mod sets;
mod statement;
mod ways;

use std::collections::BTreeMap;

use super::bounds::LOG_PREFIX;
use super::rule::{Conntrack, Hook, Limit, Origin, Rule, Ruleset, Target, protocol_word};
use super::{ChainName, Family, Place, Table};
use crate::policy::ir::{ContainerId, Engine, Exposure, NetworkId, Policy, Rate, RateUnit};
use crate::source::Span;
use ways::View;

/// Most rules of one family. The 900,000 rules beneath it load in some seconds; a policy that needs
/// more than that has a mistake in it.
pub(super) const MAX_RULES: usize = 1_000_000;

/// The policy needs more rules than a host should load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy becomes more than {limit} rules of one address family")]
pub struct TooManyRules {
    pub limit: usize,
    /// The statement that went over it, if a statement did.
    pub span: Option<Span>,
}

/// Returns the draft of everything that one family needs to mean what the policy says: plain lists, in
/// which a rule may name many prefixes at once. `optimise` makes rules of it that iptables has.
pub fn draft(policy: &Policy, family: Family) -> Result<Ruleset, TooManyRules> {
    let view = View::new(policy, family);
    let mut chains = Chains {
        view: &view,
        rules: BTreeMap::new(),
        count: 0,
        overflow: None,
    };
    forward::lower(&mut chains);
    host::lower(&mut chains);
    own::lower(&mut chains);
    raw::lower(&mut chains);
    publish::lower(&mut chains);
    if chains.count > MAX_RULES {
        let (limit, span) = (MAX_RULES, chains.overflow);
        return Err(TooManyRules { limit, span });
    }
    let rules = chains.rules;
    Ok(Ruleset {
        family,
        grant: policy.host.mark,
        hooks: hooks(&rules, policy.host.engine),
        chains: rules,
        forward: policy.host.forward.map(|(policy, _)| policy),
    })
}

/// Where an entry chain is called from, its name's end, where in that chain, and what for.
type Entry = (Table, &'static str, &'static str, Place, &'static str);

/// Returns the entries of all chains that there may be.
fn entries(engine: Engine) -> [Entry; 8] {
    let (raw, nat) = match engine {
        Engine::Podman => (
            "false sources are dropped",
            "connections between networks keep their source",
        ),
        Engine::Docker { .. } => (
            "false sources are dropped, and routed access gets past Docker's own drops",
            "connections between networks keep their source",
        ),
        Engine::None(_) => (
            "false sources are dropped",
            "connections between networks keep their source, others go out with the host's",
        ),
    };
    let first = Place::First;
    let gate = "forwarded connections meet the policy";
    let input = "connections to the host itself, published ports among them, meet the policy";
    let output = "the host's own connections meet the denials";
    let dnat = "published ports lead to their containers";
    let own_dnat = "the host's own connections to published ports lead to the containers";
    [
        (Table::Mangle, "FORWARD", "GATE", first, gate),
        (Table::Raw, "PREROUTING", "RAW", first, raw),
        (Table::Nat, "PREROUTING", "DNAT", first, dnat),
        (Table::Nat, "OUTPUT", "DNAT", first, own_dnat),
        (Table::Nat, "POSTROUTING", "NAT", first, nat),
        (Table::Filter, "INPUT", "INPUT", first, input),
        (Table::Filter, "OUTPUT", "OUTPUT", first, output),
        pass_entry(engine),
    ]
}

/// Returns where what the policy grants is accepted: in the chain that Docker leaves to others, behind
/// their drops, else before everybody's rules. Docker before 17.06 puts its own above ours at every
/// start and every new network: granted connections then fail until ours is put back.
fn pass_entry(engine: Engine) -> Entry {
    let (chain, place) = if engine.has_docker_user() {
        ("DOCKER-USER", Place::BeforeReturn)
    } else {
        ("FORWARD", Place::First)
    };
    let says = match engine {
        Engine::Docker { .. } => "what the policy grants gets past Docker's own rules",
        Engine::None(_) | Engine::Podman => {
            "what the policy grants gets past FORWARD's other rules and its policy"
        }
    };
    (Table::Filter, chain, "PASS", place, says)
}

fn hooks(rules: &BTreeMap<(Table, ChainName), Vec<Rule>>, engine: Engine) -> Vec<Hook> {
    let hook = |(table, chain, part, place, says)| {
        let target = ChainName::fixed(part);
        let there = rules.contains_key(&(table, target.clone()));
        there.then_some(Hook {
            table,
            chain,
            target,
            place,
            says,
        })
    };
    entries(engine).into_iter().filter_map(hook).collect()
}

/// The chains as they grow.
struct Chains<'v, 'p> {
    view: &'v View<'p>,
    rules: BTreeMap<(Table, ChainName), Vec<Rule>>,
    count: usize,
    /// Where the first rule past the limit came from.
    overflow: Option<Span>,
}

impl Chains<'_, '_> {
    /// Appends a rule. Past the limit rules are only counted, so that memory stays bounded.
    fn push(&mut self, table: Table, chain: &ChainName, rule: Rule) {
        self.count += 1;
        if self.count > MAX_RULES {
            self.overflow = self.overflow.or(rule.origin.map(|origin| origin.span));
        } else {
            self.rules
                .entry((table, chain.clone()))
                .or_default()
                .push(rule);
        }
    }

    /// Appends rules with one verdict.
    fn push_all(&mut self, table: Table, chain: &ChainName, rules: Vec<Rule>, verdict: &Target) {
        self.push_logged(table, chain, rules, verdict, None);
    }

    /// Lets pass what a chain of the gate has granted since the last time, if anything.
    fn settle(&mut self, chain: &ChainName) {
        let rules = self.rules.get(&(Table::Mangle, chain.clone()));
        let decides = |rule: &&Rule| matches!(rule.target, Target::SetMark | Target::SaveMark);
        let last = rules.and_then(|rules| rules.iter().rfind(decides));
        if last.is_none_or(|rule| rule.target == Target::SaveMark) {
            return;
        }
        for target in [Target::SaveMark, Target::Return] {
            let rule = Rule {
                mark: true,
                target,
                ..Rule::default()
            };
            self.push(Table::Mangle, chain, rule);
        }
    }

    /// Appends rules with one verdict, each behind its twin that logs where `log` says how.
    fn push_logged(
        &mut self,
        table: Table,
        chain: &ChainName,
        rules: Vec<Rule>,
        verdict: &Target,
        log: Option<&Target>,
    ) {
        for rule in rules {
            if let Some(log) = log {
                let target = log.clone();
                self.push(
                    table,
                    chain,
                    Rule {
                        target,
                        ..rule.clone()
                    },
                );
            }
            let target = verdict.clone();
            self.push(table, chain, Rule { target, ..rule });
        }
    }

    /// Returns the target that ends a packet of a network: DROP, or a chain that logs it first.
    fn drop_target(&mut self, table: Table, network: NetworkId) -> Target {
        let name = &self.view.network(network).name;
        self.logged_drop(table, ChainName::of_network(name, "drop"), name)
    }

    /// Returns the target that ends a packet of no declared network.
    fn others_target(&mut self, table: Table) -> Target {
        self.logged_drop(table, ChainName::fixed("DROP"), "others")
    }

    fn logged_drop(&mut self, table: Table, chain: ChainName, name: &str) -> Target {
        let Some(log) = self.view.policy.host.log_denied else {
            return Target::Drop;
        };
        if !self.rules.contains_key(&(table, chain.clone())) {
            let origin = Some(Origin {
                span: log.span,
                says: format!("log what {name} refuses").into(),
            });
            let target = Target::Log(log_prefix(name));
            let limit = log.rate.map(limit);
            self.push(
                table,
                &chain,
                Rule {
                    limit,
                    target,
                    origin,
                    ..Rule::default()
                },
            );
            self.push(table, &chain, Rule::default());
        }
        Target::Jump(chain)
    }
}

/// Says why a packet is sent to a network's chain.
fn meets_policy(view: &View<'_>, network: NetworkId) -> Origin {
    let name = &view.network(network).name;
    view.say_network(network, format!("packets of {name} meet the policy"))
}

/// Returns the chain of one part of a network.
fn network_chain(view: &View<'_>, network: NetworkId, part: &str) -> ChainName {
    ChainName::of_network(&view.network(network).name, part)
}

/// Returns what tells a packet of a published exposure in FORWARD, whatever address the container
/// has: the connection's first destination, and the container's port, so that a mapping other than
/// the policy's does not pass.
fn published_key(exposure: &Exposure, family: Family) -> Option<Rule> {
    let published = exposure.published.as_ref()?;
    if published
        .address
        .is_some_and(|address| !family.has(address))
    {
        return None;
    }
    let (address, ports) = (published.address, published.ports);
    Some(Rule {
        service: Some(super::Service::To(exposure.protocol, exposure.ports)),
        conntrack: Some(Conntrack::Published { address, ports }),
        ..Rule::default()
    })
}

/// Returns the text in front of a logged packet, at most [`LOG_PREFIX`] bytes.
fn log_prefix(name: &str) -> String {
    const ROOM: usize = LOG_PREFIX - "tidegate : ".len();
    format!("tidegate {}: ", name.get(..ROOM).unwrap_or(name))
}

/// Returns the target that logs an exposure's connections, if they are to be logged.
fn exposure_log(view: &View<'_>, container: ContainerId, exposure: &Exposure) -> Option<Target> {
    let prefix = || exposure_prefix(view, container, exposure);
    exposure.log.then(|| Target::Log(prefix()))
}

fn exposure_prefix(view: &View<'_>, container: ContainerId, exposure: &Exposure) -> String {
    let protocol = protocol_word(exposure.protocol);
    let port = format!(" {}/{protocol}", exposure.ports.first);
    let name = &view.container(container).name;
    let room = 29usize.saturating_sub("tidegate : ".len() + port.len());
    format!("tidegate {}{port}: ", name.get(..room).unwrap_or(name))
}

/// Converts a rate; counts above 10,000 a second are taken for that, the most that `xt_limit` knows.
fn limit(rate: Rate) -> Limit {
    let period = limit_period(rate, 10_000);
    Limit {
        period: u32::try_from(period).unwrap_or(u32::MAX),
    }
}

/// Returns the time between two events of a rate, in parts of which a second has `second`; at
/// least one.
fn limit_period(rate: Rate, second: u64) -> u64 {
    let seconds = match rate.unit {
        RateUnit::Day => 86_400,
        RateUnit::Hour => 3_600,
        RateUnit::Minute => 60,
        RateUnit::Second => 1,
    };
    (seconds * second / u64::from(rate.count.max(1))).max(1)
}
