//! The lines of a text: tables, chains, and rules in their place.

use std::borrow::Cow;
use std::collections::BTreeSet;

use thiserror::Error;

use super::bounds::{Room, shape};
use super::options::options;
use super::words::{BLANKS, MAX_WORDS, Word, words};
use super::{
    Action, ChainPolicy, Condition, Dump, DumpChain, DumpRule, DumpTable, conditions, spellings,
    target,
};
use crate::net::Family;
use crate::netfilter::hidden;

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
    #[error("rules whose table is not told: a line `*filter` or the like is missing")]
    Bare,
    #[error("not a chain's declaration")]
    Declaration,
    #[error("neither a table, a chain, a rule nor COMMIT")]
    Line,
    #[error("a line that is too long")]
    Long,
    #[error("more rules and chains than are read")]
    Many,
    #[error("a chain that is not there")]
    Missing,
    #[error("no address, but a name")]
    Name,
    #[error("this is of nft, and no rules of iptables")]
    Nft,
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

/// The chains of the kernel.
const KERNEL: [&str; 5] = ["FORWARD", "INPUT", "OUTPUT", "POSTROUTING", "PREROUTING"];
/// The tables of the kernel.
const TABLES: [&str; 5] = ["filter", "mangle", "nat", "raw", "security"];

/// Reads a text of iptables-save, of iptables-restore or of `iptables -S`, whose chains tell the table.
/// Chains of the kernel that the text does not declare have the policy ACCEPT. What is not understood in
/// a rule stays in it as its text.
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
        let bare =
            bare_table(text).map_err(|(line, text)| failure(line, DumpErrorKind::Bare, text))?;
        if let Some(table) = bare {
            self.tables.entry(table.to_owned()).or_default();
        }
        let mut reader = Reader {
            family,
            room: Room::behind(self),
            dump: self,
            table: bare.map(str::to_owned),
            bare: bare.is_some(),
        };
        let mut last = 0;
        for (line, number) in text.lines().zip(1..) {
            last = number;
            let line = line.trim();
            let failed = |kind| failure(number, kind, line);
            shape(line).map_err(failed)?;
            reader.line(line, number).map_err(failed)?;
        }
        if reader.table.is_some() && bare.is_none() {
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

/// Returns the table of a text of `iptables -S`, which prints one table and not its name, by the kernel's
/// chains in it; nothing for any other text.
///
/// Errors: the first line, where the chains are of several tables or only chains of users.
fn bare_table(text: &str) -> Result<Option<&'static str>, (usize, &str)> {
    let lines = text.lines().map(str::trim).zip(1..);
    let mut lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let Some((first, number)) = lines.clone().next() else {
        return Ok(None);
    };
    if !first.starts_with('-') {
        return Ok(None);
    }
    let kernels = |(line, _): (&str, usize)| {
        let name = line.split_ascii_whitespace().nth(1)?;
        KERNEL.into_iter().find(|known| *known == name)
    };
    let chains: BTreeSet<&str> = lines.by_ref().filter_map(kernels).collect();
    let has = |name: &str| chains.contains(name);
    Ok(Some(
        match (has("FORWARD"), has("PREROUTING"), has("POSTROUTING")) {
            (false, false, false) if chains.is_empty() => return Err((number, first)),
            (_, false, false) => "filter",
            (true, true, _) | (true, _, true) => "mangle",
            (false, true, false) if !has("INPUT") => "raw",
            (false, ..) => "nat",
        },
    ))
}

/// Returns whether a line is one that nft(8) prints or reads.
pub fn is_nft(line: &str) -> bool {
    const WORDS: [&str; 6] = ["add ", "chain ", "flush ", "table ", "}", "{"];
    WORDS.iter().any(|word| line.starts_with(word))
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
            Some(b'#') => {
                self.comment(line, number);
                Ok(())
            }
            Some(b'*') => self.open(line.trim_start_matches('*').trim()),
            Some(_) if line == "COMMIT" && !self.bare => {
                self.table.take().map(|_| ()).ok_or(DumpErrorKind::Outside)
            }
            Some(b':') => self.declare(line.trim_start_matches(':')),
            Some(_) if self.table.is_none() && is_nft(line) => Err(DumpErrorKind::Nft),
            Some(_) => self.command(line, number),
        }
    }

    /// A table that iptables cannot show may do anything to a packet that comes to one of its chains.
    fn comment(&mut self, line: &str, number: usize) {
        let Some(name) = hidden::table(line).filter(|name| TABLES.contains(name)) else {
            return;
        };
        let table = self.dump.tables.entry(name.to_owned()).or_default();
        for chain in KERNEL {
            let rules = &mut table.chains.entry(chain.to_owned()).or_default().rules;
            let text = format!(
                "{}, which iptables does not show",
                line.trim_start_matches("# ")
            );
            let action = Action::Opaque(format!("of a table that iptables does not show, {name}"));
            rules.push_back(DumpRule {
                line: number,
                text,
                conditions: Vec::new(),
                action,
            });
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
            // Counters alone.
            word if word.starts_with('[') => None,
            word => Some(ChainPolicy::named(word).ok_or(DumpErrorKind::Declaration)?),
        };
        let chain = self.here()?.chains.entry(name.to_owned()).or_default();
        let kernels = KERNEL.contains(&name);
        if policy.is_none() && !kernels {
            chain.rules.clear();
        }
        chain.policy = policy.or(chain.policy.filter(|_| kernels));
        Ok(())
    }

    fn command(&mut self, line: &str, number: usize) -> Result<(), DumpErrorKind> {
        self.here()?;
        let (letter, rest) = command(without_counters(line))?;
        let (chain, rest) = first_word(&rest);
        match (letter, chain) {
            // Listing and zeroing change no rule.
            ('C' | 'L' | 'S' | 'Z', _) => Ok(()),
            ('F', "") => {
                let chains = self.here()?.chains.values_mut();
                chains.for_each(|chain| chain.rules.clear());
                Ok(())
            }
            (_, "") => Err(DumpErrorKind::Line),
            ('P', _) => self.declare(&format!("{chain} {rest}")),
            ('N', _) => self.declare(&format!("{chain} -")),
            ('A', _) => self.append(chain, rest, number),
            ('D', _) => self.delete(chain, rest),
            ('I', _) => self.insert(chain, rest, number),
            ('R', _) => {
                let (place, rest) = first_word(rest);
                self.delete(chain, place)?;
                self.insert(chain, &format!("{place} {rest}"), number)
            }
            ('F', _) => {
                chain_of(self.here()?, chain)?.rules.clear();
                Ok(())
            }
            ('E', _) => self.rename(chain, rest),
            ('X', _) => {
                let gone = self.here()?.chains.remove(chain);
                gone.map(|_| ()).ok_or(DumpErrorKind::Missing)
            }
            _ => Err(DumpErrorKind::Line),
        }
    }

    fn append(&mut self, chain: &str, rest: &str, number: usize) -> Result<(), DumpErrorKind> {
        let rule = self.rule(rest, number)?;
        let rules = &mut chain_of(self.here()?, chain)?.rules;
        rules.extend(rule);
        Ok(())
    }

    fn rename(&mut self, chain: &str, name: &str) -> Result<(), DumpErrorKind> {
        let table = self.here()?;
        let renamed = table.chains.remove(chain).ok_or(DumpErrorKind::Missing)?;
        let all = table.chains.values_mut().flat_map(|chain| &mut chain.rules);
        for rule in all {
            match &mut rule.action {
                Action::Goto(to) | Action::Jump(to) | Action::Opaque(to) if to == chain => {
                    name.clone_into(to);
                }
                _ => {}
            }
        }
        table.chains.insert(name.to_owned(), renamed);
        Ok(())
    }

    fn insert(&mut self, chain: &str, rest: &str, number: usize) -> Result<(), DumpErrorKind> {
        let (first, behind) = first_word(rest);
        let (place, rest) = match first.parse::<usize>() {
            Ok(place) => (place, behind),
            Err(_) => (1, rest),
        };
        let Some(rule) = self.rule(rest, number)? else {
            return Ok(());
        };
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

    /// Reads a rule; nothing where it is for the other family, which iptables-restore passes over.
    fn rule(&mut self, text: &str, number: usize) -> Result<Option<DumpRule>, DumpErrorKind> {
        let rule = rule(text, number, self.family)?;
        self.room.take(rule.as_ref().map_or(0, DumpRule::weight))?;
        Ok(rule)
    }
}

/// Returns the letter of a line's command, and all else: chain and rule.
fn command(line: &str) -> Result<(char, Cow<'_, str>), DumpErrorKind> {
    let (first, rest) = first_word(line);
    match spellings::command(first) {
        Some((letter, "")) => return Ok((letter, rest.into())),
        Some((letter, chain)) => return Ok((letter, format!("{chain} {rest}").into())),
        None => {}
    }
    // It may stand behind conditions.
    let words = words(line).ok_or(DumpErrorKind::Quote)?;
    let is_command = |word: &Word<'_>| !word.quoted && spellings::command(&word.text).is_some();
    let at = words
        .iter()
        .position(is_command)
        .ok_or(DumpErrorKind::Line)?;
    let (before, behind) = words.split_at(at);
    let [verb, chain, behind @ ..] = behind else {
        return Err(DumpErrorKind::Line);
    };
    let (letter, attached) = spellings::command(&verb.text).ok_or(DumpErrorKind::Line)?;
    if !attached.is_empty() {
        return Err(DumpErrorKind::Line);
    }
    let all = [chain].into_iter().chain(before).chain(behind);
    let all: Vec<String> = all.map(Word::written).collect();
    Ok((letter, all.join(" ").into()))
}

/// Returns a text's first word and what is behind it.
fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANKS);
    let (first, rest) = text.split_once(BLANKS).unwrap_or((text, ""));
    (first, rest.trim_start_matches(BLANKS))
}

/// Returns a chain that is there; those of the kernel always are.
fn chain_of<'t>(table: &'t mut DumpTable, name: &str) -> Result<&'t mut DumpChain, DumpErrorKind> {
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

/// Reads a rule; one that is not understood as a whole may do anything. Nothing for one of the other
/// family that says so.
///
/// Errors: an address of the other family, which no machine could load.
fn rule(text: &str, line: usize, family: Family) -> Result<Option<DumpRule>, DumpErrorKind> {
    let (conditions, action) = match parts(text, family) {
        Ok(Some(parts)) => parts,
        Ok(None) => return Ok(None),
        Err(DumpErrorKind::Address) => return Err(DumpErrorKind::Address),
        Err(_) => {
            let said = format!("of line {line}, which is not understood");
            (Vec::new(), Action::Opaque(said))
        }
    };
    Ok(Some(DumpRule {
        line,
        text: text.to_owned(),
        conditions,
        action,
    }))
}

type Parts = (Vec<Condition>, Action);

fn parts(text: &str, family: Family) -> Result<Option<Parts>, DumpErrorKind> {
    let words: Vec<Word<'_>> = words(text).ok_or(DumpErrorKind::Quote)?;
    if words.len() > MAX_WORDS {
        return Err(DumpErrorKind::Words);
    }
    let found = options(&words)?;
    if found.family.is_some_and(|of| of != family) {
        return Ok(None);
    }
    let conditions = conditions::read(&found.plain, &found.modules, family)?;
    let action = match &found.target {
        None => Action::Continue,
        Some(target) => target::read(target, family)?,
    };
    Ok(Some((conditions, action)))
}
