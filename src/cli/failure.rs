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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{Difference, StateError};
    use crate::netfilter::{Family, Table};

    /// What a machine can get in the way of an apply, apart from what tests make it do.
    fn problems() -> Vec<Problem> {
        let locked = HostError::Locked {
            pid: "4711".to_owned(),
        };
        let differs = Difference {
            family: Family::V4,
            table: Table::Mangle,
            chain: "TIDE-shop-in".to_owned(),
            rule: 3,
            wanted: "-j DROP".to_owned(),
            found: "-j REJECT".to_owned(),
        };
        vec![
            Problem::Differs(Box::new(differs)),
            Problem::Host(locked),
            Problem::NoSetting {
                key: "net.ipv4.conf.br-shop.route_localnet".to_owned(),
                place: "shop.tide:14".to_owned(),
            },
            Problem::State(StateError::Forward(Family::V6)),
            Problem::Unstable { family: Family::V4 },
            Problem::WrongValue {
                key: "net.ipv4.ip_forward".to_owned(),
                wanted: "1".to_owned(),
                found: "0".to_owned(),
                place: "shop.tide:3".to_owned(),
            },
            Problem::Host(HostError::NotArmed("systemd-run failed".to_owned())),
            Problem::Flows("Operation not permitted".to_owned()),
        ]
    }

    #[test]
    fn each_message_has_a_code_a_reason_and_a_way_out() {
        let failures = problems().into_iter().map(|problem| {
            let failure = Failure::from(ApplyError::Refused(problem));
            assert!(failure.text.lines().count() < 24, "{}", failure.text);
            format!("{} {}", failure.kind.status(), failure.text)
        });
        let all: Vec<String> = failures.collect();
        let codes = [
            "T0502", "T0504", "T0506", "T0509", "T0510", "T0512", "T0519", "T0524",
        ];
        for (text, code) in all.iter().zip(codes) {
            assert!(text.contains(&format!("error[{code}]: ")), "{text}");
        }
        insta::assert_snapshot!(all.join("\n"), @r#"
        3 error[T0502]: the rules in rehearsal are not the bundle's: IPv4 mangle TIDE-shop-in, rule 3: compiled `-j DROP`, loaded `-j REJECT`
        nothing was changed
        help: this iptables prints rules in another way; please report it

        3 error[T0504]: another tidegate, process 4711, is changing this machine
        nothing was changed
        help: wait for it to end, then try again

        3 error[T0506]: shop.tide:14: this kernel has no setting net.ipv4.conf.br-shop.route_localnet
        nothing was changed
        help: take the sysctl out of the policy, or load the module that brings it

        3 error[T0509]: the bundle's rules do more than its manifest says: FORWARD's policy in the IPv6 rules differs from the manifest
        nothing was changed
        help: compile the policy again

        3 error[T0510]: IPv4 rules were loaded, but others keep changing them
        nothing was changed
        help: find the program that rewrites the rules, and try again

        3 error[T0512]: shop.tide:3: the kernel took net.ipv4.ip_forward = 1 but says 0
        nothing was changed
        help: look which value the kernel accepts

        3 error[T0519]: nobody can be called to look after the time: systemd-run failed
        nothing was changed
        help: mend what the message names; without `--confirm` nobody is needed

        3 error[T0524]: this machine cannot be asked about its connections: Operation not permitted
        nothing was changed
        help: mend what the message names, then try again
        "#);
    }
}
