//! Why a bundle could not be put in force, and what stands on the machine then.

use std::borrow::Cow;

use thiserror::Error;

use super::engine::Mismatch;
use super::forget::{Forgotten, forgets, how_to_forget};
use super::settings::KeyError;
use super::state::StateError;
use crate::artifact::BundleError;
use crate::diag::{Code, code};
use crate::host::HostError;
use crate::netfilter::save::{SaveError, SaveErrorKind};
use crate::netfilter::{Family, Table};

/// One thing that stood in the way.
#[derive(Debug, Error)]
pub enum Problem {
    #[error("table bridge tidegate of nftables was loaded, and the kernel has another one")]
    BridgeTable,
    #[error("the bundle is not as it was compiled\n{0}")]
    Bundle(#[from] BundleError),
    #[error("{why}\nin force instead: {policy}, version {version}, the newest copy that is intact")]
    Damaged {
        why: Box<Problem>,
        policy: String,
        version: String,
    },
    #[error("the rules that were loaded in rehearsal are not the bundle's\n{0}")]
    Differs(Box<Difference>),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("{}", lines(.0))]
    Engine(Vec<Mismatch>),
    #[error("{}", forgets(.0))]
    Forgets(Vec<Forgotten>),
    #[error("this machine cannot be asked about its connections: {0}")]
    Flows(String),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("{place}: this kernel has no setting {key}")]
    NoSetting { key: String, place: String },
    #[error("nothing to go back to: {0}")]
    NothingBefore(String),
    #[error(
        "containers are closed since no bundle could be loaded: a trial would end in opening them"
    )]
    NothingButClosed,
    #[error("{0}\nno other copy on this machine is intact")]
    NothingIntact(Box<Problem>),
    #[error("no bundle waits for a confirmation")]
    NothingWaits,
    #[error("no bundle is installed in /var/lib/tidegate/current")]
    NotInstalled,
    #[error("the {family} rules do not load\n{error}")]
    Rejected { family: Family, error: HostError },
    #[error("{place}: the route cannot be set\n{error}")]
    Route {
        /// `file:line`.
        place: String,
        error: HostError,
    },
    #[error("the {family} routes on this machine cannot be read\n{error}")]
    RoutesUnreadable {
        family: Family,
        error: serde_json::Error,
    },
    #[error("{place}: {error}")]
    Setting {
        /// `file:line`.
        place: String,
        error: HostError,
    },
    #[error("the bundle's rules do more than its manifest says\n{0}")]
    State(#[from] StateError),
    #[error("{0}")]
    TooLate(String),
    #[error("the {family} rules were loaded, but another program keeps changing them")]
    Unstable { family: Family },
    #[error("the {family} rules on this machine cannot be read\n{error}")]
    Unreadable { family: Family, error: SaveError },
    #[error("{policy}, version {version}, waits for a confirmation, {seconds} s left")]
    Waiting {
        policy: String,
        version: String,
        seconds: u64,
    },
    #[error("{place}: the kernel took {key} = {wanted} but says {found}")]
    WrongValue {
        key: String,
        wanted: String,
        found: String,
        /// `file:line`.
        place: String,
    },
}

/// The first rule of a chain that came back from the kernel otherwise than it was compiled.
#[derive(Debug, Error)]
#[error(
    "in rule {rule} of {chain}, {family}, table {table}\ncompiled: {wanted}\nloaded:   {found}"
)]
pub struct Difference {
    pub family: Family,
    pub table: Table,
    pub chain: String,
    /// The rule's number in its chain, from 1.
    pub rule: usize,
    pub wanted: String,
    pub found: String,
}

impl Problem {
    /// Returns the stable code that documents this kind of problem.
    pub fn code(&self) -> Code {
        match self {
            Problem::Bundle(_) => code::BUNDLE_DAMAGED,
            Problem::Damaged { .. } => code::OLDER_COPY,
            Problem::NothingButClosed => code::NOTHING_BUT_CLOSED,
            Problem::NothingIntact(_) => code::NOTHING_INTACT,
            Problem::Differs(_) => code::REHEARSAL_DIFFERS,
            Problem::Host(HostError::Locked { .. }) => code::LOCKED,
            Problem::Host(HostError::NotArmed(_)) => code::NOT_ARMED,
            Problem::Host(HostError::Occupied { .. }) => code::FOLDER_OCCUPIED,
            Problem::Host(HostError::Outside(_) | HostError::Unsafe { .. }) => code::UNSAFE_FILE,
            Problem::Engine(_) => code::OTHER_ENGINE,
            Problem::Flows(_) => code::NOT_CUT,
            Problem::Forgets(_) => code::FORGETS,
            Problem::BridgeTable | Problem::Host(_) => code::HOST_FAILED,
            Problem::Key(_) | Problem::NoSetting { .. } => code::NO_SETTING,
            Problem::NothingBefore(_) => code::NOTHING_BEFORE,
            Problem::NothingWaits => code::NOTHING_WAITS,
            Problem::NotInstalled => code::NOT_INSTALLED,
            Problem::Rejected { .. } => code::RULES_REJECTED,
            Problem::Route { .. } | Problem::RoutesUnreadable { .. } => code::ROUTE_REFUSED,
            Problem::State(_) => code::RULES_STRANGE,
            Problem::TooLate(_) => code::TOO_LATE,
            Problem::Unstable { .. } => code::RULES_UNSTABLE,
            Problem::Waiting { .. } => code::CONFIRMATION_AWAITED,
            Problem::Unreadable { .. } => code::RULES_UNREADABLE,
            Problem::Setting { .. } | Problem::WrongValue { .. } => code::SETTING_REFUSED,
        }
    }

    /// Returns whether it is an answer, and no failure of the machine.
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Problem::Forgets(_)
                | Problem::NothingBefore(_)
                | Problem::NothingWaits
                | Problem::TooLate(_)
                | Problem::Waiting { .. }
        )
    }

    /// Returns what to do about it.
    pub fn help(&self) -> Cow<'static, str> {
        match self {
            Problem::Engine(found) => remedies(found).into(),
            Problem::Forgets(found) => how_to_forget(found).into(),
            other => other.usual_help().into(),
        }
    }

    fn usual_help(&self) -> &'static str {
        match self {
            Problem::Bundle(_) | Problem::State(_) => "compile the policy again",
            Problem::Damaged { .. } => {
                "compile the policy again and apply it: what is installed stays as it is until then"
            }
            Problem::NothingButClosed => "apply it without `--confirm`",
            Problem::NothingIntact(_) => {
                "compile the policy again and apply it: what was closed before stays closed"
            }
            Problem::Route { .. } => {
                "the next hop must be an address that the interface reaches directly"
            }
            Problem::RoutesUnreadable { .. } => "run `ip -json route` and mend what it says",
            Problem::Differs(_) => {
                "this iptables prints rules in another way: please report both lines"
            }
            Problem::Host(HostError::Locked { .. }) => "wait for it to end, then try again",
            Problem::Host(HostError::NotArmed(_)) => {
                "mend what the message names, or apply without `--confirm`"
            }
            Problem::Host(HostError::NoCommand(_)) => "install the package that has it",
            Problem::Host(HostError::Occupied { .. }) => {
                "name a folder that is empty, not there, or holds a bundle"
            }
            Problem::Host(HostError::Outside(_)) => "make it a relative link, or a folder",
            Problem::Host(HostError::Unsafe { .. }) => {
                "give it to root alone: chown root:root and chmod go-w, folders above it too"
            }
            Problem::Host(HostError::Hangs { .. }) => {
                "find out what it waits for: run it by hand, under strace"
            }
            Problem::BridgeTable => "find the program that rewrites it, and try again",
            Problem::Engine(_) | Problem::Flows(_) | Problem::Forgets(_) | Problem::Host(_) => {
                "mend what the message names, then try again"
            }
            Problem::Key(_) | Problem::NoSetting { .. } => {
                "take the sysctl out of the policy, or load the module that brings it"
            }
            Problem::NothingBefore(_) => "`tidegate status` lists the versions that are kept",
            Problem::NothingWaits => "`tidegate status` tells what is in force",
            Problem::TooLate(_) => {
                "apply it again, with more time: `tidegate apply --confirm DURATION`"
            }
            Problem::Waiting { .. } => {
                "keep it with `tidegate confirm`, or go back at once with `tidegate rollback`"
            }
            Problem::NotInstalled => "run `tidegate install` or `tidegate apply BUNDLE` first",
            Problem::Rejected { .. } => {
                "look whether a kernel module or an iptables match is missing"
            }
            Problem::Unstable { .. } => "find the program that rewrites the rules, and try again",
            Problem::Unreadable { error, .. } if error.kind == SaveErrorKind::Incompatible => {
                "install nftables, whose nft shows what iptables cannot, then try again"
            }
            Problem::Unreadable { .. } => "mend or delete the rule that the message names",
            Problem::Setting { .. } | Problem::WrongValue { .. } => {
                "look which value the kernel accepts"
            }
        }
    }
}

/// Returns what is wrong with an engine, a line each.
fn lines(found: &[Mismatch]) -> String {
    let seen: Vec<&str> = found.iter().map(|it| it.seen.as_str()).collect();
    seen.join("\n")
}

fn remedies(found: &[Mismatch]) -> String {
    let all: Vec<&str> = found.iter().map(|it| it.remedy.as_str()).collect();
    all.join("; ")
}

/// A bundle that is not in force, and what is instead.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// Of what has to go, a part is gone.
    #[error("{0}\nsome of tidegate's rules and files are gone, the others are as they were")]
    Begun(Problem),
    /// The installed bundle cannot be used, and another one was loaded.
    #[error("{0}")]
    Instead(Problem),
    /// Only at boot, where the state before is a machine without rules.
    #[error("{0}\nwhat was loaded stays: before it, this machine had no rules")]
    Partial(Problem),
    #[error("{0}\nnothing was changed")]
    Refused(Problem),
    #[error("{problem}\ngoing back failed too: {back}")]
    Stuck {
        problem: Box<Problem>,
        back: Box<Problem>,
    },
    /// A bundle is confirmed, put back or repaired, and something that comes after that failed.
    #[error("{0}\nwhat was done until then stands, and the next tidegate ends it")]
    Unfinished(Problem),
    #[error("{0}\nthe state before is in force again")]
    WentBack(Problem),
}

impl ApplyError {
    /// Returns what stood in the way.
    pub fn problem(&self) -> &Problem {
        match self {
            ApplyError::Begun(problem)
            | ApplyError::Instead(problem)
            | ApplyError::Partial(problem)
            | ApplyError::Refused(problem)
            | ApplyError::Unfinished(problem)
            | ApplyError::WentBack(problem) => problem,
            ApplyError::Stuck { problem, .. } => problem,
        }
    }

    /// Returns whether the machine is as it was.
    pub fn old_state_stands(&self) -> bool {
        matches!(
            self,
            ApplyError::Instead(_) | ApplyError::Refused(_) | ApplyError::WentBack(_)
        )
    }
}
