//! Why a command did not do what it was asked, and the exit status that says so.

use std::process::ExitCode;

use crate::deploy::{ApplyError, Problem};
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
        ExitCode::from(match self.kind {
            FailureKind::No => 1,
            FailureKind::Usage => 2,
            FailureKind::Host => 3,
            FailureKind::Stuck => 4,
        })
    }
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
