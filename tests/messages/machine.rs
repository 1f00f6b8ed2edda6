//! What is told when a machine does not do what it should: `error[T05xx]`.

use std::path::PathBuf;
use std::{fs, io};

use tidegate::artifact::BundleError;
use tidegate::cli::failure::Failure;
use tidegate::deploy::{ApplyError, Difference, Mismatch, Problem, StateError};
use tidegate::diag::{Code, code};
use tidegate::host::HostError;
use tidegate::netfilter::{Family, Table, save};

use super::told;
use crate::support::files::repository;

fn occupied() -> HostError {
    HostError::Occupied {
        path: PathBuf::from("out"),
        why: "not a bundle: it holds notes.txt",
    }
}

fn rejected() -> Problem {
    let error = HostError::Command {
        command: "iptables-restore".to_owned(),
        status: "exit status 2".to_owned(),
        stderr: "Couldn't load match `conntrack'".to_owned(),
    };
    let family = Family::V4;
    Problem::Rejected { family, error }
}

fn differs() -> Problem {
    Problem::Differs(Box::new(Difference {
        family: Family::V4,
        table: Table::Mangle,
        chain: "TIDE-shop-in".to_owned(),
        rule: 3,
        wanted: "-j DROP".to_owned(),
        found: "-j REJECT".to_owned(),
    }))
}

fn failed() -> HostError {
    HostError::Io {
        action: "write",
        path: PathBuf::from("/var/lib/tidegate/current/rules.v4"),
        source: io::Error::from_raw_os_error(28),
    }
}

fn route() -> Problem {
    Problem::Route {
        place: "shop.tide:4".to_owned(),
        error: HostError::Command {
            command: "ip -batch -".to_owned(),
            status: "exit status 1".to_owned(),
            stderr: "Error: Nexthop has invalid gateway.\nCommand failed -:1".to_owned(),
        },
    }
}

fn not_accepted() -> Problem {
    Problem::WrongValue {
        key: "net.ipv4.ip_forward".to_owned(),
        wanted: "1".to_owned(),
        found: "0".to_owned(),
        place: "shop.tide:3".to_owned(),
    }
}

fn other_engine() -> Problem {
    Problem::Engine(vec![Mismatch {
        seen: "Docker writes its rules with nftables, and the policy was compiled for iptables"
            .to_owned(),
        remedy: "write `engine docker nftables` in the policy".to_owned(),
    }])
}

fn too_late() -> Problem {
    let said =
        "shop.tide, version 0a1b2c3d4e5f, was not confirmed in time and is no longer in force";
    Problem::TooLate(said.to_owned())
}

fn waiting() -> Problem {
    Problem::Waiting {
        policy: "shop.tide".to_owned(),
        version: "0a1b2c3d4e5f".to_owned(),
        seconds: 42,
    }
}

fn unreadable() -> Problem {
    let error = save::parse("*filter\nwhat is this\nCOMMIT\n").unwrap_err();
    let family = Family::V4;
    Problem::Unreadable { family, error }
}

/// What a machine can get in the way, each as it comes about in the part that says it.
fn changed() -> Problem {
    Problem::Bundle(BundleError::Changed("rules.v4".to_owned()))
}

fn problems() -> Vec<(Code, Problem)> {
    let writable = HostError::Unsafe {
        path: PathBuf::from("/srv/shop/bundle"),
        why: "may be changed by others than root",
    };
    let pid = "4711".to_owned();
    vec![
        (
            code::BUNDLE_DAMAGED,
            Problem::Bundle(BundleError::Changed("rules.v4".to_owned())),
        ),
        (code::REHEARSAL_DIFFERS, differs()),
        (code::HOST_FAILED, failed().into()),
        (code::LOCKED, HostError::Locked { pid }.into()),
        (code::UNSAFE_FILE, writable.into()),
        (
            code::NO_SETTING,
            Problem::NoSetting {
                key: "net.ipv4.conf.br-shop.route_localnet".to_owned(),
                place: "shop.tide:14".to_owned(),
            },
        ),
        (code::NOT_INSTALLED, Problem::NotInstalled),
        (code::RULES_REJECTED, rejected()),
        (code::RULES_STRANGE, StateError::Forward(Family::V6).into()),
        (
            code::RULES_UNSTABLE,
            Problem::Unstable { family: Family::V4 },
        ),
        (code::RULES_UNREADABLE, unreadable()),
        (code::SETTING_REFUSED, not_accepted()),
        (code::FOLDER_OCCUPIED, occupied().into()),
        (code::ROUTE_REFUSED, route()),
        (code::OTHER_ENGINE, other_engine()),
        (code::CONFIRMATION_AWAITED, waiting()),
        (code::NOTHING_WAITS, Problem::NothingWaits),
        (code::TOO_LATE, too_late()),
        (
            code::NOT_ARMED,
            HostError::NotArmed("systemd-run failed".to_owned()).into(),
        ),
        (
            code::NOTHING_BEFORE,
            Problem::NothingBefore("no bundle was in force before".to_owned()),
        ),
        (
            code::OLDER_COPY,
            Problem::Damaged {
                why: Box::new(changed()),
                policy: "shop.tide".to_owned(),
                version: "4f2a90c1d3e5".to_owned(),
            },
        ),
        (
            code::NOTHING_INTACT,
            Problem::NothingIntact(Box::new(changed())),
        ),
        (code::NOTHING_BUT_CLOSED, Problem::NothingButClosed),
        (
            code::NOT_CUT,
            Problem::Flows("Operation not permitted".to_owned()),
        ),
    ]
}

/// The one message that is a script's, where nothing of the program is needed.
#[test]
fn of_what_cannot_be_closed() {
    let script = fs::read_to_string(repository().join("packaging/closed/closed")).unwrap();
    let (_, said) = script.split_once("say 3 '").unwrap();
    let (said, _) = said.split_once('\'').unwrap();
    told(code::NOT_CLOSED, said);
}

#[test]
fn of_a_machine_that_is_left_as_it_was() {
    for (code, problem) in problems() {
        let failure = Failure::from(match problem {
            Problem::Damaged { .. } => ApplyError::Instead(problem),
            _ => ApplyError::Refused(problem),
        });
        told(code, &failure.text);
    }
}
