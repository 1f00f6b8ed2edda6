//! tidegate beside other tools that write rules: real ones from Debian, in a namespace of their own.
//!
//! Each is there first. Then the policy is put in force, and everything of theirs is as it was; then
//! they do what they do every day, and the policy holds, or drift says what is gone and puts it back;
//! then tidegate is uninstalled, and theirs is as they left it.

mod place;
mod tools;

use tidegate::deploy::report::DriftKind;
use tidegate::host::Variant;

use place::{Place, on_both};
use tools::{Act, Tool};

/// Who comes to the published port and who does not, in both families; bans of others win.
fn holds(place: &Place, banned: bool, when: &str) {
    for (who, port, open) in [
        (place::OFFICE, 8080, !banned),
        (place::STRANGER, 8080, false),
        (place::STRANGER, 8081, false),
    ] {
        for (from, to) in who.into_iter().zip(place::HOST) {
            let found = place.connects(from, to, port);
            assert_eq!(found, open, "{when}: {from} to {port}");
        }
    }
    // Past the published port, as a neighbour with a route would.
    for (from, to) in place::STRANGER.into_iter().zip(place::WEB) {
        let found = place.connects(from, to, 80);
        assert!(!found, "{when}: {from} to the container");
    }
}

/// Lives through a day of a tool, with the policy.
fn a_day_with(tool: &Tool) {
    on_both(tool.name, |place| {
        (tool.start)(place);
        let before = place.theirs();
        let text = before.join("\n");
        assert!(text.contains(tool.mark), "{}: {text}", tool.name);
        assert!(place.connects(place::STRANGER[0], place::HOST[0], 8080));
        place.apply();
        assert_eq!(
            place.theirs(),
            before,
            "{}: apply changed theirs",
            tool.name
        );
        holds(place, false, "applied");
        assert_eq!(place.drift(), [], "{}", tool.name);
        for act in tool.acts {
            lives_through(place, tool, act);
        }
        let last = place.theirs();
        place.uninstall();
        assert_eq!(
            place.theirs(),
            last,
            "{}: uninstall changed theirs",
            tool.name
        );
        assert!(!place.save().contains("TIDE-"), "{}", place.save());
        (tool.stop)(place);
    });
}

fn lives_through(place: &Place, tool: &Tool, act: &Act) {
    let when = format!("{}, {}", tool.name, act.name);
    (act.run)(place);
    let theirs = place.theirs();
    let drift = place.drift();
    let fine = if act.undoes {
        !drift.is_empty()
    } else {
        drift.iter().all(|it| *it == DriftKind::HookMisplaced)
    };
    assert!(fine, "{when}: {drift:?}");
    if !act.undoes {
        holds(place, act.bans, &format!("{when}, before repair"));
    }
    place.repair();
    assert_eq!(place.drift(), [], "{when}");
    assert_eq!(place.theirs(), theirs, "{when}: repair changed theirs");
    holds(place, act.bans, &when);
}

#[test]
fn fail2ban() {
    a_day_with(&tools::FAIL2BAN);
}

#[test]
fn crowdsec() {
    a_day_with(&tools::CROWDSEC);
}

#[test]
fn ufw() {
    a_day_with(&tools::UFW);
}

#[test]
fn ufw_docker() {
    a_day_with(&tools::UFW_DOCKER);
}

#[test]
fn netfilter_persistent() {
    a_day_with(&tools::NETFILTER_PERSISTENT);
}

#[test]
fn kube_proxy() {
    a_day_with(&tools::KUBE_PROXY);
}

/// What doctor says on each of these machines, as a user would read it.
#[test]
fn doctor_names_who_can_undo_the_policy() {
    for (tool, codes) in [
        (&tools::UFW, &["T0704"][..]),
        (&tools::UFW_DOCKER, &["T0704", "T0725"]),
        (&tools::NETFILTER_PERSISTENT, &["T0702"]),
        (&tools::KUBE_PROXY, &["T0716"]),
        (&tools::FAIL2BAN, &[]),
    ] {
        place::on(tool.name, Variant::Nft, |place| {
            (tool.start)(place);
            place.apply();
            let text = place.doctor();
            (tool.stop)(place);
            for code in codes {
                assert!(text.contains(code), "{}: no {code} in\n{text}", tool.name);
            }
            let strange = ["T0701", "T0707", "T0721", "T0722", "T0726"];
            let strange = strange.iter().find(|code| text.contains(**code));
            assert_eq!(strange, None, "{}:\n{text}", tool.name);
        });
    }
}
