//! Which line opens a port of a container to whom.

use std::collections::BTreeMap;

use super::matrix::Cell;
use super::names::{Names, Words};
use super::reasons::reason;
use super::side::Side;
use super::who::{Question, ways};
use crate::netfilter::dump::States;

/// Somebody who reaches a port, and the line that lets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    pub from: String,
    /// By a port of the host.
    pub by_host: bool,
    /// As far as a limit lets it, or some addresses only; empty where neither is so.
    pub ending: &'static str,
    /// `file:line`, or the rule where no line is behind it; nothing where one address of theirs that was
    /// tried does not arrive, as may be where only some do.
    pub line: Option<String>,
}

/// A port as it is exposed.
#[derive(Debug, Clone, Copy)]
pub struct Port<'p> {
    pub container: &'p str,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'p str,
    pub port: u16,
    /// The host's port for it.
    pub published: Option<u16>,
}

/// A machine and who reaches whom on it, prepared once for many ports.
#[derive(Debug)]
pub struct Openers<'s> {
    side: &'s Side,
    names: Names,
    /// Cells of this family by whom they lead to.
    cells: BTreeMap<&'s str, Vec<&'s Cell>>,
}

impl<'s> Openers<'s> {
    pub fn new(side: &'s Side, all: &'s [Cell]) -> Self {
        let family = side.machine.family;
        let mut cells: BTreeMap<&str, Vec<&Cell>> = BTreeMap::new();
        for cell in all.iter().filter(|cell| cell.families.contains(&family)) {
            cells.entry(&cell.to).or_default().push(cell);
        }
        let policy = side.policy.as_ref();
        Openers {
            side,
            names: Names::new(policy.as_slice(), &side.machine),
            cells,
        }
    }

    /// Returns who reaches a port by the cells of a matrix, and follows one packet for the line.
    pub fn of(&self, port: Port<'_>) -> Vec<Opener> {
        let mut found = Vec::new();
        for cell in self.cells.get(port.container).into_iter().flatten() {
            let asked = if cell.by_host {
                port.published
            } else {
                Some(port.port)
            };
            let ending = asked.and_then(|asked| ending(cell, port.protocol, asked));
            let Some(ending) = ending else {
                continue;
            };
            found.push(Opener {
                from: cell.from.clone(),
                by_host: cell.by_host,
                ending,
                line: line(self.side, &self.names, cell, port),
            });
        }
        found
    }
}

fn line(side: &Side, names: &Names, cell: &Cell, port: Port<'_>) -> Option<String> {
    let protocol = match port.protocol {
        "tcp" => 6,
        "udp" => 17,
        _ => 132,
    };
    let question = Question {
        from: &cell.from,
        to: port.container,
        protocol,
        port: port.port,
        input: None,
        state: States::NEW,
        family: side.machine.family,
    };
    let ways = ways(&question, side.policy.as_ref(), &side.machine).ok()?;
    let by_host = |says: &str| says.starts_with("by the host");
    let way = ways.iter().find(|way| by_host(&way.says) == cell.by_host)?;
    let reason = reason(&side.machine, &way.probe, &[], true, names);
    reason.by.filter(|_| reason.arrives)
}

/// Says how sure a cell is about a port; nothing where it is not about it.
fn ending(cell: &Cell, protocol: &str, port: u16) -> Option<&'static str> {
    let has = |words: &Option<Words>| words.as_ref().is_some_and(|it| covers(it, protocol, port));
    if has(&cell.all) {
        Some("")
    } else if has(&cell.limited) {
        Some("limited")
    } else {
        has(&cell.some).then_some("some")
    }
}

/// Tells whether words of services are about a port.
fn covers(words: &Words, protocol: &str, port: u16) -> bool {
    let about = |word: &String| match word.split_once('/') {
        None => word == "any" || word == protocol,
        Some((ports, of)) => {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let ends = (first.parse::<u16>(), last.parse::<u16>());
            let within = matches!(ends, (Ok(first), Ok(last)) if (first..=last).contains(&port));
            within && of == protocol
        }
    };
    words.these.iter().any(about) && !words.except.iter().any(about)
}
