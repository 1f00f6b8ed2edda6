//! Checks on tidegate itself: is it there, whole, and started at boot?

use super::facts::{Facts, Installed, UnitFacts, Unseen};
use crate::deploy::store::CURRENT;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};

pub(super) fn units(facts: &Facts) -> Vec<Finding> {
    // Without a bundle there is nothing to start.
    if facts.installed == Installed::Nothing {
        return Vec::new();
    }
    if facts.units.iter().all(|unit| unit.path.is_none()) {
        return vec![
            Finding::new(
                code::UNITS,
                Weight::Warning,
                "tidegate's units are not installed",
            )
            .why("the policy is in force until the next boot alone, and nobody looks for drift")
            .remedy("tidegate install BUNDLE"),
        ];
    }
    facts.units.iter().filter_map(unit).collect()
}

fn unit(unit: &UnitFacts) -> Option<Finding> {
    let name = &unit.name;
    let failed = unit.state.as_deref() == Some("failed");
    let idle_timer =
        name.strip_suffix(".timer").is_some() && unit.state.as_deref() == Some("inactive");
    let (what, remedy) = match &unit.path {
        None => ("is not installed", "tidegate install BUNDLE".to_owned()),
        Some(_) if unit.masked => ("is masked", format!("systemctl unmask {name}")),
        Some(_) if !unit.enabled => ("is not enabled", format!("systemctl enable {name}")),
        Some(_) if failed => (
            "has failed",
            format!("journalctl -u {name}, and mend what it says"),
        ),
        Some(_) if idle_timer => ("does not run", format!("systemctl start {name}")),
        Some(_) if !unit.same => (
            "is not that of this release",
            "tidegate install BUNDLE, with what you changed in a drop-in".to_owned(),
        ),
        Some(_) if !unit.drop_ins.is_empty() => {
            let place = unit.drop_ins.join(", ");
            return Some(
                Finding::new(
                    code::UNITS,
                    Weight::Note,
                    format!("{name} is changed by drop-ins"),
                )
                .at(place)
                .why("what starts at boot is not what tidegate was tested with")
                .remedy(format!("look at it: systemctl cat {name}")),
            );
        }
        Some(_) => return None,
    };
    let weight = if unit.masked {
        Weight::Error
    } else {
        Weight::Warning
    };
    let finding = Finding::new(code::UNITS, weight, format!("{name} {what}"))
        .why(purpose(name))
        .remedy(remedy);
    Some(match &unit.path {
        Some(path) => finding.at(path),
        None => finding,
    })
}

/// Says what does not happen without a unit.
fn purpose(name: &str) -> &'static str {
    match name {
        "tidegate-guard.service" => "containers start at boot before any rule is there",
        "tidegate.service" => "at boot nothing puts the rules in force whole, and compares them",
        "tidegate-watch@.service" => "addresses that the engine picks are not followed",
        _ => "nobody looks whether the rules still stand",
    }
}

pub(super) fn bundle(facts: &Facts) -> Vec<Finding> {
    let (seen, remedy) = match &facts.installed {
        Installed::Whole => return Vec::new(),
        Installed::Nothing => (
            "no bundle is installed".to_owned(),
            "tidegate apply POLICY, then tidegate install POLICY",
        ),
        Installed::Damaged(why) => (
            format!("the installed bundle cannot be used: {why}"),
            "apply a whole bundle again",
        ),
    };
    vec![
        Finding::new(code::NO_BUNDLE, Weight::Error, seen)
            .at(CURRENT)
            .why("nothing closes what Docker opens, after the next boot at the latest")
            .remedy(remedy),
    ]
}

pub(super) fn drift(facts: &Facts) -> Vec<Finding> {
    if facts.drifts == 0 {
        return Vec::new();
    }
    let seen = match facts.drifts {
        1 => "the machine differs from its bundle in 1 thing".to_owned(),
        count => format!("the machine differs from its bundle in {count} things"),
    };
    vec![
        Finding::new(code::DRIFTED, Weight::Error, seen)
            .why("the policy is not in force whole")
            .remedy("tidegate drift says what; tidegate drift --repair mends it"),
    ]
}

/// What every other command says of the same, too.
pub(super) fn compared(facts: &Facts) -> Vec<Finding> {
    facts.compared.clone()
}

pub(super) fn iptables(facts: &Facts) -> Vec<Finding> {
    let version = facts.iptables.split_once(" v").map(|(_, rest)| rest);
    let mut parts = version.unwrap_or_default().split(['.', ' ']);
    let major: Option<u32> = parts.next().and_then(|part| part.parse().ok());
    let minor: Option<u32> = parts.next().and_then(|part| part.parse().ok());
    match (major, minor) {
        (Some(major), Some(minor)) if (major, minor) < (1, 8) => vec![
            Finding::new(
                code::OLD_IPTABLES,
                Weight::Warning,
                format!("{} is older than 1.8", facts.iptables),
            )
            .why("it was never tried: it may print rules otherwise than they were compiled")
            .remedy("update iptables"),
        ],
        _ => Vec::new(),
    }
}

/// What nobody could look at is not fine.
pub(super) fn unseen(unseen: &Unseen) -> Finding {
    Finding::new(
        code::NOT_LOOKED_AT,
        Weight::Warning,
        format!("not looked at: {}", unseen.what),
    )
    .at(unseen.why.clone())
    .why("whatever is there may undo the policy")
    .remedy("mend what it says, or install the command that is missing, then look again")
}
