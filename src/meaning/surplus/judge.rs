//! Judges each statement by what all others leave of it.

use std::collections::HashSet;

use super::cover::{Item, Packet, Row, Spaces, Tree, is_nothing};
use super::{By, Kind, Statement, Surplus, Why};
use crate::diagram::Node;
use crate::meaning::policy::{Effects, Says};

/// How many places are named for what is needless.
const MAX_NAMED: usize = 3;

/// Hooks at which statements decide: for forwarded packets, for those to the host, and for its own.
const HOOKS: usize = 3;

fn hooks(says: &mut Says<'_>) -> [Effects; HOOKS] {
    let parts = says.parts();
    [
        says.forwarded(&parts),
        says.arriving(&parts),
        says.sent(&parts),
    ]
}

/// A statement with what it does at every hook.
#[derive(Debug)]
struct Judged {
    statement: Statement,
    all: Row,
    /// What it opens or denies for certain, so that others need not.
    surely: Row,
}

#[derive(Debug)]
pub(super) struct Judge<'p> {
    pub(super) spaces: Spaces<'p>,
    /// Packets about which statements decide.
    care: Row,
    /// Open if it is not denied, without any statement.
    open: Row,
    /// What of that makes an opening needless.
    settled: Row,
    openings: Vec<Judged>,
    denials: Vec<Judged>,
}

/// What was found of one kind of statements.
struct Found {
    needless: Vec<usize>,
    /// All others; nothing where there are none.
    kept: Option<Tree>,
    /// Which these are.
    places: Vec<usize>,
}

impl<'p> Judge<'p> {
    pub(super) fn new(mut spaces: Spaces<'p>, statements: Vec<Statement>) -> Self {
        let hooks: Vec<Effects> = spaces.0.iter_mut().flat_map(hooks).collect();
        let judged = statements
            .into_iter()
            .map(|it| judged(&mut spaces, &hooks, it));
        let is_denial = |it: &Judged| it.statement.kind == Kind::Deny;
        let (denials, openings) = judged.partition(is_denial);
        Judge {
            care: hooks.iter().map(|hook| hook.care).collect(),
            open: hooks.iter().map(|hook| hook.open).collect(),
            settled: hooks.iter().map(|hook| hook.settled).collect(),
            spaces,
            openings,
            denials,
        }
    }

    pub(super) fn all(&mut self) -> Vec<Surplus> {
        if self.is_none_needless() {
            return Vec::new();
        }
        self.take_care();
        let denied = self.spaces.union(&rows(&self.denials));
        let opened = self.spaces.union(&rows(&self.openings));
        let opened = join(&mut self.spaces, &opened, &self.open);
        let openings = self.needless_openings(&denied);
        let denials = find(&mut self.spaces, &self.denials, &|spaces, row| {
            spaces.and(&opened, row)
        });
        let openings = kept(&mut self.spaces, &self.openings, openings);
        let denials = kept(&mut self.spaces, &self.denials, denials);
        let mut found = Vec::new();
        for at in &openings.needless {
            found.extend(self.opening(*at, &openings, &denials, &denied));
        }
        for at in &denials.needless {
            found.extend(self.denial(*at, &denials, &opened));
        }
        found.sort_by_key(|it| it.span);
        found
    }

    /// Tells whether each statement does something for a packet about which no other of its kind says
    /// anything, which is soon seen. Where not, nothing is known yet.
    fn is_none_needless(&mut self) -> bool {
        let denied = self.spaces.union(&rows(&self.denials));
        let among = [(&self.care, true), (&self.settled, false), (&denied, false)];
        if !is_each_alone(&mut self.spaces, &self.openings, &among) {
            return false;
        }
        if self.denials.is_empty() {
            return true;
        }
        let opened = self.spaces.union(&rows(&self.openings));
        let opened = join(&mut self.spaces, &opened, &self.open);
        let among = [(&self.care, true), (&opened, true)];
        is_each_alone(&mut self.spaces, &self.denials, &among)
    }

    /// Leaves packets out about which statements do not decide.
    fn take_care(&mut self) {
        let judged = self.openings.iter_mut().chain(&mut self.denials);
        for it in judged {
            it.all = self.spaces.and(&self.care, &it.all);
            it.surely = self.spaces.and(&self.care, &it.surely);
        }
    }

    fn needless_openings(&mut self, denied: &Row) -> Vec<usize> {
        let shut = join(&mut self.spaces, denied, &self.settled);
        find(&mut self.spaces, &self.openings, &|spaces, row| {
            spaces.except(row, &shut)
        })
    }

    fn opening(
        &mut self,
        at: usize,
        openings: &Found,
        denials: &Found,
        denied: &Row,
    ) -> Option<Surplus> {
        let all = self.openings.get(at)?.all.clone();
        let mut rest = if denied.is_empty() {
            all.clone()
        } else {
            self.spaces.except(&all, denied)
        };
        let mut by = Vec::new();
        let why = if is_nothing(&all) {
            Why::Nobody
        } else if is_nothing(&rest) {
            rest = all;
            by = name(
                &mut self.spaces,
                &self.denials,
                denials,
                &mut rest,
                MAX_NAMED,
            );
            Why::Cancelled
        } else if self.openings.get(at)?.statement.publishes() {
            return None;
        } else {
            by = self.settled(&mut rest);
            let most = MAX_NAMED.saturating_sub(by.len());
            by.extend(name(
                &mut self.spaces,
                &self.openings,
                openings,
                &mut rest,
                most,
            ));
            Why::Anyway
        };
        Some(surplus(self.openings.get(at)?, why, by, &rest))
    }

    /// Takes from a row what is open without any statement, and tells why it is.
    fn settled(&mut self, rest: &mut Row) -> Vec<By> {
        let mut open = self.spaces.and(&self.settled, rest);
        *rest = self.spaces.except(rest, &self.settled);
        let mut found = Vec::new();
        while let Some(packet) = self.spaces.packet(&open) {
            let len = open.len();
            let says = self.spaces.at(packet.place, len);
            let by = says.map(|says| by_itself(says, &packet));
            let by = by.filter(|by| !found.contains(by));
            found.extend(by);
            if let Some(seen) = open.get_mut(packet.place) {
                *seen = Node::NO;
            }
        }
        found.truncate(MAX_NAMED);
        found
    }

    fn denial(&mut self, at: usize, denials: &Found, opened: &Row) -> Option<Surplus> {
        let all = self.denials.get(at)?.all.clone();
        let mut rest = self.spaces.and(opened, &all);
        let why = if is_nothing(&all) {
            Why::Nobody
        } else if is_nothing(&rest) {
            Why::Closed
        } else {
            Why::Anyway
        };
        let by = name(
            &mut self.spaces,
            &self.denials,
            denials,
            &mut rest,
            MAX_NAMED,
        );
        Some(surplus(self.denials.get(at)?, why, by, &rest))
    }
}

fn judged(spaces: &mut Spaces<'_>, hooks: &[Effects], statement: Statement) -> Judged {
    let of = |at: &usize, surely: bool| -> Row {
        let does = hooks.iter().map(|hook| hook.parts.get(*at));
        let node = does.map(|does| does.map(|it| if surely { it.surely } else { it.all }));
        node.map(|node| node.unwrap_or(Node::NO)).collect()
    };
    let rows = |surely| -> Vec<Row> { statement.parts.iter().map(|at| of(at, surely)).collect() };
    let all = spaces.union(&rows(false).iter().collect::<Vec<_>>());
    let surely = if statement.logs {
        // Who takes others for it has more in the log.
        vec![Node::NO; all.len()]
    } else {
        spaces.union(&rows(true).iter().collect::<Vec<_>>())
    };
    Judged {
        statement,
        all,
        surely,
    }
}

fn rows(of: &[Judged]) -> Vec<&Row> {
    of.iter().map(|it| &it.all).collect()
}

/// The union of nothing has no places yet.
fn join(spaces: &mut Spaces<'_>, row: &Row, other: &Row) -> Row {
    if row.is_empty() {
        other.clone()
    } else {
        spaces.or(row, other)
    }
}

fn is_each_alone(spaces: &mut Spaces<'_>, all: &[Judged], among: &[(&Row, bool)]) -> bool {
    let item = |it: &Judged| Item {
        all: it.all.clone(),
        surely: it.surely.clone(),
        stays: it.statement.stays,
    };
    let items: Vec<Item> = all.iter().map(item).collect();
    let counted = spaces.counted(&items);
    let alone = spaces.alone(&counted, &items, among);
    let mut pairs = items.iter().zip(alone);
    pairs.all(|(item, alone)| item.stays || alone)
}

/// Finds what is needless where only a part of each row matters.
fn find(
    spaces: &mut Spaces<'_>,
    all: &[Judged],
    part: &dyn Fn(&mut Spaces<'_>, &Row) -> Row,
) -> Vec<usize> {
    let item = |it: &Judged| {
        let all = part(spaces, &it.all);
        Item {
            stays: it.statement.stays || it.statement.publishes() && !is_nothing(&all),
            surely: part(spaces, &it.surely),
            all,
        }
    };
    let mut items: Vec<Item> = all.iter().map(item).collect();
    spaces.needless(&mut items)
}

/// Returns what is not needless in a form in which it can be looked for.
fn kept(spaces: &mut Spaces<'_>, all: &[Judged], needless: Vec<usize>) -> Found {
    let going: HashSet<usize> = needless.iter().copied().collect();
    let is_kept = |at: &usize| !going.contains(at);
    let places: Vec<usize> = (0..all.len()).filter(is_kept).collect();
    let kept = places.iter().filter_map(|at| all.get(*at));
    let kept: Vec<Item> = kept
        .map(|it| Item {
            all: Row::new(),
            surely: it.surely.clone(),
            stays: true,
        })
        .collect();
    Found {
        kept: spaces.tree(&kept, 0),
        needless,
        places,
    }
}

/// Names few statements that cover a row, and takes from it what they cover.
fn name(
    spaces: &mut Spaces<'_>,
    of: &[Judged],
    found: &Found,
    rest: &mut Row,
    most: usize,
) -> Vec<By> {
    let Some(kept) = &found.kept else {
        return Vec::new();
    };
    let named = spaces.covering(kept, rest, most).into_iter();
    let named = named.filter_map(|at| of.get(*found.places.get(at)?));
    named.map(|it| By::Statement(it.statement.span)).collect()
}

fn surplus(of: &Judged, why: Why, by: Vec<By>, rest: &Row) -> Surplus {
    Surplus {
        span: of.statement.span,
        kind: of.statement.kind,
        why,
        by,
        more: !is_nothing(rest),
    }
}

fn by_itself(says: &Says<'_>, packet: &Packet) -> By {
    let value = |field| packet.value(says.space.level(field));
    By::Setting(says.opening_setting(&value))
}
