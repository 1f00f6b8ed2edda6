//! What is told when a machine does not do what it should: `error[T05xx]`.

use std::path::PathBuf;
use std::{fs, io};

use tidegate::artifact::BundleError;
use tidegate::cli::failure::{Failure, left_out, not_compared};
use tidegate::compile::{How, compile_with};
use tidegate::deploy::{
    ApplyError, Difference, Forgotten, Mismatch, Problem, StateError, closed_at_first,
};
use tidegate::diag::finding::Weight;
use tidegate::diag::{Code, code};
use tidegate::facts::Facts;
use tidegate::host::{HostError, LinuxHost, Variant};
use tidegate::netfilter::{Family, Table, save};

use super::told;
use crate::support::files::{Files, repository};

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

fn changed() -> Problem {
    Problem::Bundle(BundleError::Changed("rules.v4".to_owned()))
}

/// What a machine can get in the way, each as it comes about in the part that says it.
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
            code::FORGETS,
            Problem::Forgets(vec![Forgotten {
                name: "shop".to_owned(),
                bridge: "br-shop".to_owned(),
            }]),
        ),
        (
            code::OLDER_COPY,
            Problem::Damaged {
                why: Box::new(changed()),
                policy: "shop.tide".to_owned(),
                version: "0a1b2c3d4e5f".to_owned(),
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
fn of_rules_that_nobody_reads() {
    let table = "IPv4 filter, line 48: a table that iptables cannot show, and nft neither";
    told(code::TABLE_UNREAD, &not_compared(&[table.to_owned()]));
    told(code::ANSWER_OPEN, &left_out("inet guard in (hook input)"));
}

/// What the first `apply` closes without a word of the policy.
#[test]
fn of_ports_that_are_closed_at_first() {
    let policy = "network shop {\n  bridge br-shop\n  subnet 172.18.0.0/24\n}\n";
    let facts = "networks:\n  blog_default: {driver: bridge, bridge: br-1, subnets: [172.19.0.0/16]}\n\
        containers:\n  blog-web-1:\n    networks: {blog_default: [172.19.0.2]}\n    ports: [8080->80/tcp]\n";
    let facts = Facts::read(facts).unwrap();
    let compiled = compile_with(
        &Files::one(policy),
        "policy.tide",
        Some(&facts),
        How::default(),
    );
    let subject = compiled.subjects().remove(0);
    let nothing = tempfile::tempdir().unwrap();
    let host = LinuxHost::new(nothing.path(), Variant::Auto);
    let found = closed_at_first(&host, &subject.policy, false).unwrap();
    told(code::CLOSED_AT_FIRST, &found.text());
    let on_trial = closed_at_first(&host, &subject.policy, true).unwrap();
    assert_eq!(on_trial.weight, Weight::Note);
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
