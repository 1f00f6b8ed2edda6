//! A set of rules given by path or word, as the machine that it makes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::SideArgs;
use super::failure::Failure;
use super::trace::{MAX_RULES, unread, unread_file};
use super::{Done, beside, policy, target};
use crate::compile::Subject;
use crate::host::{self, FileKind, Host, LinuxHost, Trust};
use crate::netfilter::Family;
use crate::netfilter::dump::is_nft;
use crate::question::{self, Assumed, Side, SideKind};

/// The word for this machine; a file of that name is `./live`.
const LIVE: &str = "live";

/// What a path or a word stands for.
#[derive(Debug)]
pub(super) enum Source {
    Live,
    Policy(Box<Subject>),
    Saved { path: PathBuf, text: String },
}

/// A side of one family, and what was taken for granted about it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) side: Side,
    pub(super) assumptions: Vec<String>,
}

impl Source {
    /// Says of an answer about this machine what it leaves out.
    pub(super) fn whole(all: &[&Source], args: &SideArgs, done: Done) -> Done {
        if !all.iter().any(|it| matches!(it, Source::Live)) {
            return done;
        }
        beside::add(done, &live_host(args), &Source::families(all, args.ipv6))
    }

    /// Says which sets have a name and no addresses: those of a bundle.
    pub(super) fn unknown_sets(&self) -> Option<String> {
        let Source::Policy(subject) = self else {
            return None;
        };
        // A bundle whose parties cannot be read has given no policy.
        let sets = &subject.bundle.parties().ok()?.sets;
        let known = |name: &&String| subject.policy.trusts.iter().any(|it| it.name == **name);
        let sets: Vec<&str> = sets
            .iter()
            .filter(|name| !known(name))
            .map(String::as_str)
            .collect();
        let said = format!(
            "A bundle keeps no addresses of sets; these have no name here: {}.",
            sets.join(", ")
        );
        (!sets.is_empty()).then_some(said)
    }

    /// Returns the families of which there can be rules.
    pub(super) fn families(all: &[&Source], six: bool) -> Vec<Family> {
        let saved = all.iter().any(|it| matches!(it, Source::Saved { .. }));
        match (six, saved) {
            (true, _) => vec![Family::V6],
            (false, true) => vec![Family::V4],
            (false, false) => Family::BOTH.to_vec(),
        }
    }
}

/// Reads a side, with what there is to warn of.
pub(super) fn source(path: &Path, args: &SideArgs) -> Result<(Source, String), Failure> {
    if path == Path::new(LIVE) {
        return Ok((Source::Live, String::new()));
    }
    if host::kind(path) == FileKind::Folder {
        let subject = target::named_folder(path, args.host_name.as_deref(), Trust::Anybody)?;
        return Ok((Source::Policy(Box::new(subject)), String::new()));
    }
    let text = host::read_rules(path, MAX_RULES)?;
    // Nothing at all is no policy, unless its name says so.
    let is_policy = !text.trim().is_empty() || path.extension().is_some_and(|it| it == "tide");
    if is_saved(&text) || !is_policy {
        let path = path.to_owned();
        return Ok((Source::Saved { path, text }, String::new()));
    }
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        ..policy::With::default()
    };
    let (subject, warnings) =
        policy::subject(path, &with, Trust::Anybody, "its rules are not known")?;
    Ok((Source::Policy(Box::new(subject)), warnings))
}

/// Returns whether a text is of iptables-save(8), `iptables -S` or nft(8): it begins with a table or a
/// command, and no policy does. One of comments alone is of a machine without rules.
fn is_saved(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with(['*', '-', ':']) || is_nft(line))
}

/// Makes the machine of a side; containers that `like` has, too, get the addresses that they have there.
pub(super) fn machine_of(
    source: &Source,
    like: Option<&Side>,
    args: &SideArgs,
    family: Family,
) -> Result<Made, Failure> {
    match source {
        Source::Live => live(args, family),
        Source::Policy(subject) => of_policy(subject, like, family),
        Source::Saved { path, text } => {
            let assumed = question::of_rules(text, None, &args.output, family);
            let assumed = assumed.map_err(|error| unread_file(path, &error))?;
            Ok(Made::of(assumed, SideKind::Saved))
        }
    }
}

impl Made {
    fn of(assumed: Assumed, kind: SideKind) -> Self {
        let side = Side {
            machine: assumed.machine,
            policy: None,
            kind,
            known: BTreeMap::new(),
        };
        Made {
            side,
            assumptions: assumed.assumptions,
        }
    }
}

fn of_policy(subject: &Subject, like: Option<&Side>, family: Family) -> Result<Made, Failure> {
    let before = like.and_then(|side| side.policy.as_ref());
    let placed = question::placed_as(&subject.policy, before);
    let rules = subject.bundle.rules(family);
    let assumed = question::of_placed(&subject.policy, &placed, rules, family);
    let mut made = Made::of(assumed.map_err(|error| unread(&error))?, SideKind::Policy);
    made.side.policy = Some(placed);
    Ok(made)
}

fn live_host(args: &SideArgs) -> LinuxHost {
    LinuxHost::new("/", args.iptables.into())
}

fn live(args: &SideArgs, family: Family) -> Result<Made, Failure> {
    let host = live_host(args);
    let (rules, routes) = (host.save(family)?, host.routes(family)?);
    let machine = question::of_live(&rules, &host.addresses()?, &routes, family);
    let assumed = Assumed {
        machine: machine.map_err(|error| unread(&error))?,
        assumptions: Vec::new(),
    };
    Ok(Made::of(assumed, SideKind::Live))
}
