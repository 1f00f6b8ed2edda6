//! The lines of a text: tables, chains, and rules in their place.

use thiserror::Error;

use super::bounds::{Room, shape};
use super::options::{Options, options};
use super::words::{MAX_WORDS, Word, words};
use super::{Action, ChainPolicy, Dump, DumpChain, DumpRule, DumpTable, conditions, target};
use crate::net::Family;

/// A line that iptables-restore would refuse, too.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {kind}{}", crate::netfilter::said(text))]
pub struct DumpError {
    /// From 1.
    pub line: usize,
    pub kind: DumpErrorKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DumpErrorKind {
    #[error("not an address of this family")]
    Address,
    #[error("not a chain's declaration")]
    Declaration,
    /// iptables-nft-save leaves such a table out, so that its rules would seem to be absent.
    #[error("a table that iptables cannot show")]
    Incompatible,
    #[error("neither a table, a chain, a rule nor COMMIT")]
    Line,
    #[error("a line that is too long")]
    Long,
    #[error("more rules and chains than are read")]
    Many,
    #[error("a chain that is not there")]
    Missing,
    #[error("a NUL byte")]
    Nul,
    #[error("a number out of its bounds, or none")]
    Number,
    #[error("outside of a table")]
    Outside,
    #[error("more ports than one rule can have")]
    Ports,
    #[error("a quote that stays open")]
    Quote,
    #[error("a table that the kernel has not")]
    Table,
    #[error("a table without its COMMIT")]
    Unfinished,
    #[error("an option without its value")]
    Value,
    #[error("more words than one rule can have")]
    Words,
}

/// The tables of the kernel.
const TABLES: [&str; 5] = ["filter", "mangle", "nat", "raw", "security"];

/// Reads a text of iptables-save, of iptables-restore or of `iptables -S`; one that names no table is
/// of `filter`. Chains of the kernel that the text does not declare have the policy ACCEPT.
///
/// Errors name the first line that does not fit; a text cut short is one of them.
pub fn read(text: &str, family: Family) -> Result<Dump, DumpError> {
    let mut dump = Dump::default();
    dump.load(text, family)?;
    Ok(dump)
}

impl Dump {
    /// Loads a text on top of what is there, as `iptables-restore --noflush` does: chains of users that
    /// it declares begin anew, and its other rules go where they say.
    ///
    /// After an error the tables are of no use.
    pub fn load(&mut self, text: &str, family: Family) -> Result<(), DumpError> {
        let bare = is_bare(text);
        if bare {
            self.tables.entry("filter".to_owned()).or_default();
        }
        let mut reader = Reader {
            family,
            room: Room::behind(self),
            dump: self,
            table: bare.then(|| "filter".to_owned()),
            bare,
        };
        let mut last = 0;
        for (line, number) in text.lines().zip(1..) {
            last = number;
            let line = line.trim();
            let failed = |kind| failure(number, kind, line);
            shape(line).map_err(failed)?;
            reader.line(line, number).map_err(failed)?;
        }
        if reader.table.is_some() && !bare {
            return Err(failure(last, DumpErrorKind::Unfinished, ""));
        }
        self.name_chains()
    }
}

pub(super) fn failure(line: usize, kind: DumpErrorKind, text: &str) -> DumpError {
    let text = short(text);
    DumpError { line, kind, text }
}

/// Returns as much of a line as a message shows.
fn short(line: &str) -> String {
    const SHOWN: usize = 200;
    let rest = line.char_indices().nth(SHOWN);
    let start = rest.and_then(|(end, _)| line.get(..end));
    start.map_or_else(|| line.to_owned(), |start| format!("{start} …"))
}

/// Tells whether a text is of `iptables -S`, which prints one table and not its name.
fn is_bare(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with('-'))
}

struct Reader<'d> {
    family: Family,
    room: Room,
    dump: &'d mut Dump,
    table: Option<String>,
    bare: bool,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, number: usize) -> Result<(), DumpErrorKind> {
        match line.as_bytes().first() {
            None => Ok(()),
            Some(b'#') => comment(line),
            Some(b'*') => self.open(line.trim_start_matches('*').trim()),
            Some(_) if line == "COMMIT" && !self.bare => {
                self.table.take().map(|_| ()).ok_or(DumpErrorKind::Outside)
            }
            Some(b':') => self.declare(line.trim_start_matches(':')),
            Some(_) => self.command(line, number),
        }
    }

    fn open(&mut self, name: &str) -> Result<(), DumpErrorKind> {
        if self.table.is_some() {
            return Err(DumpErrorKind::Unfinished);
        }
        if !TABLES.contains(&name) {
            return Err(DumpErrorKind::Table);
        }
        self.dump.tables.entry(name.to_owned()).or_default();
        self.table = Some(name.to_owned());
        Ok(())
    }

    fn here(&mut self) -> Result<&mut DumpTable, DumpErrorKind> {
        let name = self.table.as_ref().ok_or(DumpErrorKind::Outside)?;
        self.dump.tables.get_mut(name).ok_or(DumpErrorKind::Outside)
    }

    /// Adds the chain of `NAME POLICY [packets:bytes]`. What a user's chain held goes.
    fn declare(&mut self, declaration: &str) -> Result<(), DumpErrorKind> {
        self.here()?;
        self.room.take(1)?;
        let mut words = declaration.split_ascii_whitespace();
        let (Some(name), Some(policy)) = (words.next(), words.next()) else {
            return Err(DumpErrorKind::Declaration);
        };
        let policy = match policy {
            "-" => None,
            word => Some(ChainPolicy::named(word).ok_or(DumpErrorKind::Declaration)?),
        };
        let chain = self.here()?.chains.entry(name.to_owned()).or_default();
        if policy.is_none() {
            chain.rules.clear();
        }
        chain.policy = policy;
        Ok(())
    }

    fn command(&mut self, line: &str, number: usize) -> Result<(), DumpErrorKind> {
        self.here()?;
        let line = without_counters(line);
        let mut parts = line.splitn(3, ' ');
        let (Some(command), Some(chain)) = (parts.next(), parts.next()) else {
            return Err(DumpErrorKind::Line);
        };
        let rest = parts.next().unwrap_or("").trim();
        match command {
            "-P" | "--policy" => self.declare(&format!("{chain} {rest}")),
            "-N" | "--new-chain" => self.declare(&format!("{chain} -")),
            "-A" | "--append" => {
                let rule = self.rule(rest, number)?;
                chain_of(self.here()?, chain)?.rules.push_back(rule);
                Ok(())
            }
            "-D" | "--delete" => self.delete(chain, rest),
            "-I" | "--insert" => self.insert(chain, rest, number),
            "-X" | "--delete-chain" => {
                let gone = self.here()?.chains.remove(chain);
                gone.map(|_| ()).ok_or(DumpErrorKind::Missing)
            }
            _ => Err(DumpErrorKind::Line),
        }
    }

    fn insert(&mut self, chain: &str, rest: &str, number: usize) -> Result<(), DumpErrorKind> {
        let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let (place, rest) = match first.parse::<usize>() {
            Ok(place) => (place, behind),
            Err(_) => (1, rest),
        };
        let rule = self.rule(rest, number)?;
        let count = chain_of(self.here()?, chain)?.rules.len();
        let at = place.checked_sub(1).filter(|at| *at <= count);
        let at = at.ok_or(DumpErrorKind::Number)?;
        self.room.shift(at.min(count - at))?;
        chain_of(self.here()?, chain)?.rules.insert(at, rule);
        Ok(())
    }

    /// Removes the first rule of a text, or the one of a number.
    fn delete(&mut self, chain: &str, rest: &str) -> Result<(), DumpErrorKind> {
        let rules = &chain_of(self.here()?, chain)?.rules;
        let count = rules.len();
        let at = match rest.parse::<usize>() {
            Ok(place) => place.checked_sub(1).filter(|at| *at < count),
            Err(_) => rules.iter().position(|rule| rule.text == rest),
        };
        let at = at.ok_or(DumpErrorKind::Number)?;
        self.room.shift(at.min(count - at))?;
        chain_of(self.here()?, chain)?.rules.remove(at);
        Ok(())
    }

    fn rule(&mut self, text: &str, number: usize) -> Result<DumpRule, DumpErrorKind> {
        let rule = rule(text, number, self.family)?;
        self.room.take(rule.weight())?;
        Ok(rule)
    }
}

fn comment(line: &str) -> Result<(), DumpErrorKind> {
    if line.starts_with("# Table `") && line.contains("is incompatible") {
        return Err(DumpErrorKind::Incompatible);
    }
    Ok(())
}

/// Returns a chain that is there; those of the kernel always are.
fn chain_of<'t>(table: &'t mut DumpTable, name: &str) -> Result<&'t mut DumpChain, DumpErrorKind> {
    const KERNEL: [&str; 5] = ["FORWARD", "INPUT", "OUTPUT", "POSTROUTING", "PREROUTING"];
    if KERNEL.contains(&name) {
        let chain = table.chains.entry(name.to_owned()).or_default();
        chain.policy.get_or_insert(ChainPolicy::Accept);
        return Ok(chain);
    }
    table.chains.get_mut(name).ok_or(DumpErrorKind::Missing)
}

/// Returns the line without the `[packets:bytes] ` that `iptables-save -c` puts first.
fn without_counters(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    rest.map_or(line, |(_, rest)| rest.trim_start())
}

fn rule(text: &str, line: usize, family: Family) -> Result<DumpRule, DumpErrorKind> {
    let words: Vec<Word<'_>> = words(text).ok_or(DumpErrorKind::Quote)?;
    if words.len() > MAX_WORDS {
        return Err(DumpErrorKind::Words);
    }
    let Options {
        plain,
        modules,
        target,
    } = options(&words)?;
    let conditions = conditions::read(&plain, &modules, family)?;
    let action = match target {
        None => Action::Continue,
        Some(target) => target::read(&target, family)?,
    };
    Ok(DumpRule {
        line,
        text: text.to_owned(),
        conditions,
        action,
    })
}
