//! Why a command did not do what it was asked, and the exit status that says so.

use std::process::ExitCode;

use crate::deploy::{ApplyError, Problem};
use crate::diag::code;
use crate::host::HostError;

/// What kind of failure it is; each has its own exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The answer is no: the policy has mistakes, or the machine has drifted.
    No,
    Usage,
    /// The machine failed, and is as it was.
    Host,
    /// The machine failed, and going back to what was failed too.
    Stuck,
}

/// A failure with everything that a user is told about it.
#[derive(Debug)]
pub struct Failure {
    pub kind: FailureKind,
    /// The whole text for standard error; empty where the verb's own output says it all.
    pub text: String,
}

impl FailureKind {
    /// Returns the exit status that says so.
    pub fn status(self) -> u8 {
        match self {
            FailureKind::No => 1,
            FailureKind::Usage => 2,
            FailureKind::Host => 3,
            FailureKind::Stuck => 4,
        }
    }
}

impl Failure {
    pub fn new(kind: FailureKind, message: &str, help: &str) -> Self {
        Failure {
            kind,
            text: format!("error: {message}\nhelp: {help}\n"),
        }
    }

    fn coded(kind: FailureKind, message: &str, problem: &Problem) -> Self {
        let (code, help) = (problem.code(), problem.help());
        Failure {
            kind,
            text: format!("error[{code}]: {message}\nhelp: {help}\n"),
        }
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.status())
    }
}

/// Says of tables that were loaded that nobody knows their rules, each with the reason.
pub fn not_compared(tables: &[String]) -> String {
    if tables.is_empty() {
        return String::new();
    }
    format!(
        "error[{}]: rules were loaded, and whether they stand is not known\n{}\n\
         help: install nftables, whose nft shows what iptables cannot, then apply again\n",
        code::TABLE_UNREAD,
        tables.join("\n")
    )
}

/// Says which rules an answer about a machine leaves out.
pub fn left_out(what: &str) -> String {
    format!(
        "error[{}]: rules of nftables are not followed, and may decide otherwise: {what}\n\
         help: `nft list ruleset` shows them\n",
        code::ANSWER_OPEN
    )
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let problem = error.problem();
        if error.old_state_stands() && problem.is_answer() {
            return Failure::coded(FailureKind::No, &problem.to_string(), problem);
        }
        let kind = if error.old_state_stands() {
            FailureKind::Host
        } else {
            FailureKind::Stuck
        };
        Failure::coded(kind, &error.to_string(), problem)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let kind = if problem.is_answer() {
            FailureKind::No
        } else {
            FailureKind::Host
        };
        Failure::coded(kind, &problem.to_string(), &problem)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Problem::from(error).into()
    }
}
