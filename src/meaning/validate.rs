//! Do the rules that were written mean what the policy says? Both are worked out apart and compared
//! for every packet, hook by hook.

use std::panic::resume_unwind;

use thiserror::Error;

use super::chains::{Chains, TooDeep};
use super::outcome::Verdict;
use super::packet::{self, Sample};
use super::policy::{Forward, Raw, Says, interfaces};
use super::space::{Field, Space};
use crate::diagram::Node;
use crate::net::Family;
use crate::netfilter::dump::{ChainPolicy, Dump, DumpError, read};
use crate::policy::ir::{ForwardPolicy, Policy};
use crate::source::Span;

/// Most edges that a comparison may need; one takes about 40 bytes, with what is kept of the work.
pub const MAX_EDGES: usize = 12_000_000;

/// Why rules do not stand for a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Invalid {
    #[error("the rules cannot be read again: {0}")]
    Unread(#[from] DumpError),
    #[error("the rules cannot be followed: {0}")]
    TooDeep(#[from] TooDeep),
    #[error("{0}")]
    Differs(Box<Difference>),
    #[error("the rules are too many to be compared with the policy in {0} million steps")]
    NotKnown(usize),
}

/// A packet with which rules do something else than the policy says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at {table} {chain}, {packet}: the policy says that it {says}, the rules that it {does}")]
pub struct Difference {
    pub family: Family,
    pub table: &'static str,
    pub chain: &'static str,
    pub packet: Sample,
    pub says: &'static str,
    pub does: &'static str,
    /// Lines of the rules that the packet meets, from 1, with their text.
    pub rules: Vec<(usize, String)>,
    /// Statements of the policy that name it.
    pub statements: Vec<Span>,
}

/// Compares what a family's rules mean, as they are written to a bundle, with what the policy says.
///
/// Checked for every packet and state of a connection: what is dropped, what carries the grant and
/// keeps it for its replies, what is accepted past the engine, what is translated and whose source
/// stays. An engine's own chains are no part of it: what is left to them has no verdict here.
pub fn validate(
    policy: &Policy,
    rules: &str,
    family: Family,
    budget: usize,
) -> Result<(), Invalid> {
    let mut dump = stand_in(policy, family)?;
    dump.load(rules, family)?;
    let compare = |hooks| Comparison::new(policy, &dump, family, budget).run(hooks);
    // Hooks have nothing to do with each other, and most of the work is at two of them.
    let [forwarded, others] = std::thread::scope(|scope| {
        let forwarded = scope.spawn(|| compare(Comparison::forwarded));
        let others = compare(Comparison::others);
        let forwarded = forwarded.join();
        [
            forwarded.unwrap_or_else(|panic| resume_unwind(panic)),
            others,
        ]
    });
    forwarded.and(others)
}

/// Returns the chain that the engine leaves to others, called from where it calls it.
fn stand_in(policy: &Policy, family: Family) -> Result<Dump, DumpError> {
    let text = if policy.host.engine.has_docker_user() {
        "*filter\n:FORWARD ACCEPT\n:DOCKER-USER -\n-A FORWARD -j DOCKER-USER\nCOMMIT\n"
    } else {
        ""
    };
    read(text, family)
}

/// Hooks at which a policy has something to say.
const HOOKS: [(&str, &str); 8] = [
    ("raw", "PREROUTING"),
    ("mangle", "FORWARD"),
    ("filter", "FORWARD"),
    ("filter", "INPUT"),
    ("filter", "OUTPUT"),
    ("nat", "PREROUTING"),
    ("nat", "OUTPUT"),
    ("nat", "POSTROUTING"),
];

struct Comparison<'p, 'd> {
    says: Says<'p>,
    policy: &'p Policy,
    dump: &'d Dump,
    /// What the policy says of forwarded packets.
    forward: Option<Forward>,
    found: Option<Difference>,
    budget: usize,
}

/// A hook, and the packets that there are at it.
#[derive(Clone, Copy)]
struct Hook {
    table: &'static str,
    chain: &'static str,
    care: Node,
    /// What the rules do.
    does: Node,
}

impl<'p, 'd> Comparison<'p, 'd> {
    fn new(policy: &'p Policy, dump: &'d Dump, family: Family, budget: usize) -> Self {
        let names = interfaces(policy);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Comparison {
            says: Says::new(Space::new(family, [dump], &names, budget), policy),
            policy,
            dump,
            forward: None,
            found: None,
            budget,
        }
    }

    fn run(mut self, hooks: fn(&mut Self) -> Result<(), TooDeep>) -> Result<(), Invalid> {
        hooks(&mut self)?;
        if self.says.space.diagrams.is_exhausted() {
            return Err(Invalid::NotKnown(self.budget / 1_000_000));
        }
        match self.found {
            None => Ok(()),
            Some(found) => Err(Invalid::Differs(Box::new(found))),
        }
    }

    fn forwarded(&mut self) -> Result<(), TooDeep> {
        self.gate()?;
        self.pass()?;
        self.sources()
    }

    fn others(&mut self) -> Result<(), TooDeep> {
        self.raw()?;
        self.host()?;
        self.translated()?;
        self.elsewhere()
    }

    /// Returns what the rules do at a hook, to packets with an interface on its sides or with none.
    fn hook(
        &mut self,
        table: &'static str,
        chain: &'static str,
        (input, output): (Option<bool>, Option<bool>),
    ) -> Result<Hook, TooDeep> {
        let does = match self.dump.tables.get(table) {
            None => Node::NO,
            Some(rules) => Chains::new(table, rules).chain(&mut self.says.space, chain)?,
        };
        let mut care = Node::YES;
        for (field, some) in [(Field::Input, input), (Field::Output, output)] {
            let none = self.says.space.atom("");
            let none = self.says.space.is(field, none);
            let diagrams = &mut self.says.space.diagrams;
            care = match some {
                None => care,
                Some(true) => diagrams.except(care, none),
                Some(false) => diagrams.guard(none, care),
            };
        }
        Ok(Hook {
            table,
            chain,
            care,
            does,
        })
    }

    /// Returns yes where the rules' verdict is one.
    fn verdict(&mut self, hook: Hook, verdict: &Verdict) -> Node {
        let wanted = verdict.clone();
        let is = move |outcome: &super::Outcome| outcome.verdict == wanted;
        self.says.space.where_outcome(hook.does, &is)
    }

    /// Notes a packet where there is one, unless another one was found before.
    fn note(&mut self, hook: Hook, where_: Node, says: &'static str, does: &'static str) {
        let here = self.says.space.diagrams.guard(hook.care, where_);
        if self.found.is_some() || self.says.space.diagrams.is_exhausted() {
            return;
        }
        let Some(packet) = packet::sample(&self.says.space, here, self.policy) else {
            return;
        };
        let rules = packet::met(
            &self.says.space,
            self.dump,
            (hook.table, hook.chain),
            &packet,
        );
        let statements = self.says.naming(&packet);
        self.found = Some(Difference {
            statements,
            family: self.says.space.family,
            table: hook.table,
            chain: hook.chain,
            packet,
            says,
            does,
            rules,
        });
    }

    /// Compares a condition of the policy's with one of the rules'.
    fn equal(&mut self, hook: Hook, said: Node, done: Node, word: (&'static str, &'static str)) {
        let (yes, no) = word;
        let missing = self.says.space.diagrams.except(said, done);
        self.note(hook, missing, yes, no);
        let more = self.says.space.diagrams.except(done, said);
        self.note(hook, more, no, yes);
    }

    /// Notes every verdict that a hook must not have.
    fn only(&mut self, hook: Hook, allowed: &[Verdict]) {
        let is = |outcome: &super::Outcome| !allowed.contains(&outcome.verdict);
        let others = self.says.space.where_outcome(hook.does, &is);
        self.note(hook, others, "passes or ends", "does something else");
    }

    fn forward(&mut self) -> Forward {
        let says = &mut self.says;
        *self.forward.get_or_insert_with(|| says.forward())
    }

    fn raw(&mut self) -> Result<(), TooDeep> {
        let hook = self.hook("raw", "PREROUTING", (Some(true), Some(false)))?;
        let Raw { drop, must, may } = self.says.raw();
        self.only(hook, &[Verdict::Continue, Verdict::Drop, Verdict::Accept]);
        let dropped = self.verdict(hook, &Verdict::Drop);
        self.equal(hook, drop, dropped, ("is false", "is not false"));
        let accepted = self.verdict(hook, &Verdict::Accept);
        let (past, stays) = ("gets past the engine's drops", "meets the engine's drops");
        let missing = self.says.space.diagrams.except(must, accepted);
        self.note(hook, missing, past, stays);
        let more = self.says.space.diagrams.except(accepted, may);
        self.note(hook, more, stays, past);
        Ok(())
    }

    fn gate(&mut self) -> Result<(), TooDeep> {
        let mut hook = self.hook("mangle", "FORWARD", (Some(true), Some(true)))?;
        // False sources never come here.
        let false_sources = self.says.false_sources();
        hook.care = self.says.space.diagrams.except(hook.care, false_sources);
        self.only(hook, &[Verdict::Continue, Verdict::Drop]);
        let known = self.says.known();
        let says = self.forward();
        let dropped = self.verdict(hook, &Verdict::Drop);
        let drop = self.says.space.diagrams.except(says.drop, known);
        self.equal(hook, drop, dropped, ("is dropped", "passes"));
        self.marks(hook, &says, known, dropped);
        Ok(())
    }

    /// Compares the grant on what passes, and what is kept of it for replies.
    fn marks(&mut self, mut hook: Hook, says: &Forward, known: Node, dropped: Node) {
        let bit = self.policy.host.mark.trailing_zeros();
        let levels = [false, true].map(|connection| self.says.space.mark(connection, bit));
        let [mark, kept] = levels.map(|level| self.says.space.bit_after(hook.does, level));
        let before = self.says.space.diagrams.bit(levels[1]);
        let tracked = self.says.space.tracked();
        let diagrams = &mut self.says.space.diagrams;
        hook.care = diagrams.except(hook.care, dropped);
        let open = diagrams.except(says.either, known);
        hook.care = diagrams.except(hook.care, open);
        let granted = diagrams.or_else(says.granted, says.passing);
        let granted = diagrams.select(known, before, granted);
        let saved = diagrams.except(says.granted, known);
        let saved = diagrams.guard(tracked, saved);
        let saved = diagrams.or_else(saved, before);
        self.equal(hook, granted, mark, ("is granted", "is left to the engine"));
        let word = ("keeps the grant for its replies", "keeps no grant");
        self.equal(hook, saved, kept, word);
        self.other_marks(hook, levels);
    }

    /// No other bit is ours to change.
    fn other_marks(&mut self, hook: Hook, ours: [crate::diagram::Level; 2]) {
        let is = |outcome: &super::Outcome| {
            outcome.untracked || outcome.bits.keys().any(|level| !ours.contains(level))
        };
        let changed = self.says.space.where_outcome(hook.does, &is);
        self.note(
            hook,
            changed,
            "keeps its other marks",
            "changes its other marks",
        );
    }

    fn pass(&mut self) -> Result<(), TooDeep> {
        let hook = self.hook("filter", "FORWARD", (Some(true), Some(true)))?;
        self.only(hook, &[Verdict::Continue, Verdict::Accept]);
        let accepted = self.verdict(hook, &Verdict::Accept);
        let granted = if self.policy.host.engine.is_nftables() {
            Node::NO
        } else {
            self.says.granted()
        };
        let word = ("gets past the engine's rules", "meets the engine's rules");
        self.equal(hook, granted, accepted, word);
        self.forward_policy(hook);
        Ok(())
    }

    fn forward_policy(&mut self, hook: Hook) {
        let chain = self.dump.chain("filter", "FORWARD");
        let drops = chain.and_then(|chain| chain.policy) == Some(ChainPolicy::Drop);
        let wanted = self.policy.host.forward.map(|(policy, _)| policy);
        if drops != (wanted == Some(ForwardPolicy::Drop)) {
            let word = ("meets FORWARD's policy of the policy", "meets another one");
            self.note(hook, Node::YES, word.0, word.1);
        }
    }

    fn host(&mut self) -> Result<(), TooDeep> {
        let mut input = self.hook("filter", "INPUT", (Some(true), Some(false)))?;
        let output = self.hook("filter", "OUTPUT", (Some(false), Some(true)))?;
        let false_sources = self.says.false_sources();
        input.care = self.says.space.diagrams.except(input.care, false_sources);
        let refused = self.says.refused_by_host();
        self.refuses(input, refused);
        let refused = self.says.refused_of_host();
        self.refuses(output, refused);
        Ok(())
    }

    fn refuses(&mut self, hook: Hook, refused: Node) {
        self.only(hook, &[Verdict::Continue, Verdict::Drop]);
        let known = self.says.known();
        let refused = self.says.space.diagrams.except(refused, known);
        let dropped = self.verdict(hook, &Verdict::Drop);
        self.equal(hook, refused, dropped, ("is dropped", "passes"));
        self.gives_no_grant(hook, dropped);
    }

    /// Long lists use the grant's bit for themselves. What passes must not take it along: behind OUTPUT it
    /// would keep the packet's source.
    fn gives_no_grant(&mut self, mut hook: Hook, dropped: Node) {
        let bit = self.policy.host.mark.trailing_zeros();
        let levels = [false, true].map(|connection| self.says.space.mark(connection, bit));
        let [mark, kept] = levels.map(|level| self.says.space.bit_after(hook.does, level));
        let diagrams = &mut self.says.space.diagrams;
        hook.care = diagrams.except(hook.care, dropped);
        let [had, was_kept] = levels.map(|level| diagrams.bit(level));
        let given = diagrams.except(mark, had);
        self.note(hook, given, "carries no grant", "carries a grant");
        let word = ("keeps the grant for its replies", "keeps no grant");
        self.equal(hook, was_kept, kept, word);
        self.other_marks(hook, levels);
    }

    fn translated(&mut self) -> Result<(), TooDeep> {
        let says = self.says.translations();
        for (chain, input) in [("PREROUTING", Some(true)), ("OUTPUT", Some(false))] {
            let hook = self.hook("nat", chain, (input, None))?;
            let differ = self.says.space.difference(says, hook.does);
            self.note(
                hook,
                differ,
                "is led elsewhere, or nowhere",
                "is led another way",
            );
        }
        Ok(())
    }

    fn sources(&mut self) -> Result<(), TooDeep> {
        let hook = self.hook("nat", "POSTROUTING", (None, Some(true)))?;
        let peers = self.grants_between_networks();
        let says = self.says.sources_kept(peers);
        self.only(
            hook,
            &[Verdict::Continue, Verdict::Accept, Verdict::Masquerade],
        );
        let kept = self.verdict(hook, &Verdict::Accept);
        let (keeps, loses) = ("keeps its source", "may lose its source");
        let missing = self.says.space.diagrams.except(says.kept, kept);
        self.note(hook, missing, keeps, loses);
        let more = self.says.space.diagrams.except(kept, says.may_stay);
        self.note(hook, more, loses, keeps);
        let hidden = self.verdict(hook, &Verdict::Masquerade);
        let host = "gets the host's address";
        let missing = self.says.space.diagrams.except(says.hidden, hidden);
        self.note(hook, missing, host, keeps);
        let more = self.says.space.diagrams.except(hidden, says.may_hide);
        self.note(hook, more, keeps, host);
        Ok(())
    }

    /// Tells whether a connection between two networks may be granted without a published port.
    fn grants_between_networks(&mut self) -> bool {
        let granted = self.forward().granted;
        let false_sources = self.says.false_sources();
        let granted = self.says.space.diagrams.except(granted, false_sources);
        self.says.is_between_networks(granted)
    }

    /// Nothing happens at any other hook.
    fn elsewhere(&mut self) -> Result<(), TooDeep> {
        let all = self.dump.tables.iter().flat_map(|(table, chains)| {
            let chains = chains.chains.iter();
            chains.map(move |(chain, rules)| ((table.as_str(), chain.as_str()), rules))
        });
        let mut of_the_kernel = all.filter(|(_, rules)| rules.policy.is_some());
        if of_the_kernel.all(|(hook, rules)| HOOKS.contains(&hook) || rules.rules.is_empty()) {
            return Ok(());
        }
        let hook = self.hook("raw", "PREROUTING", (None, None))?;
        self.note(hook, Node::YES, "meets no rule at other hooks", "meets one");
        Ok(())
    }
}
