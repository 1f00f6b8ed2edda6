use super::*;
use std::collections::BTreeMap;

fn live(text: &str) -> Tables {
    save::parse(text).unwrap()
}

fn rules(lines: &[&str]) -> RuleLines {
    lines.iter().copied().collect()
}

fn hook(chain: &str, rule: &str, spot: Spot) -> Hook {
    Hook {
        chain: chain.to_owned(),
        rule: rule.to_owned(),
        spot,
    }
}

fn gate() -> (Table, TideTable) {
    let table = TideTable {
        chains: BTreeMap::from([("TIDE-GATE".to_owned(), rules(&["-i lo -j RETURN"]))]),
        hooks: vec![hook("FORWARD", "-j TIDE-GATE", Spot::First)],
        ..TideTable::default()
    };
    (Table::Mangle, table)
}

fn pass() -> (Table, TideTable) {
    let table = TideTable {
        chains: BTreeMap::from([("TIDE-PASS".to_owned(), rules(&["-j ACCEPT"]))]),
        hooks: vec![hook("DOCKER-USER", "-j TIDE-PASS", Spot::BeforeReturn)],
        docker_user: EngineChain::Need,
        ..TideTable::default()
    };
    (Table::Filter, table)
}

fn plan(now: &str, wanted: impl IntoIterator<Item = (Table, TideTable)>) -> Option<String> {
    transaction(&live(now), &wanted.into_iter().collect())
}

#[test]
fn an_empty_machine_gets_chains_and_hooks() {
    insta::assert_snapshot!(plan("", [gate(), pass()]).unwrap(), @r"
    *mangle
    :TIDE-GATE - [0:0]
    -A TIDE-GATE -i lo -j RETURN
    -I FORWARD 1 -j TIDE-GATE
    COMMIT
    *filter
    -N DOCKER-USER
    :TIDE-PASS - [0:0]
    -A TIDE-PASS -j ACCEPT
    -I FORWARD 1 -j DOCKER-USER
    -I DOCKER-USER 1 -j TIDE-PASS
    COMMIT
    ");
}

#[test]
fn what_is_right_is_left_alone() {
    let now = "*mangle\n:FORWARD ACCEPT [0:0]\n:TIDE-GATE - [0:0]\n-A FORWARD -j TIDE-GATE\n\
        -A FORWARD -i eth0 -j DROP\n-A TIDE-GATE -i lo -j RETURN\nCOMMIT\n";
    assert_eq!(plan(now, [gate()]), None);
}

#[test]
fn a_hook_that_was_overtaken_goes_back_to_the_top() {
    let now = "*mangle\n:FORWARD ACCEPT [0:0]\n:TIDE-GATE - [0:0]\n-A FORWARD -i eth0 -j DROP\n\
        -A FORWARD -j TIDE-GATE\n-A FORWARD -j TIDE-GATE\n-A TIDE-GATE -i lo -j RETURN\nCOMMIT\n";
    insta::assert_snapshot!(plan(now, [gate()]).unwrap(), @r"
    *mangle
    :TIDE-GATE - [0:0]
    -D FORWARD -j TIDE-GATE
    -D FORWARD -j TIDE-GATE
    -A TIDE-GATE -i lo -j RETURN
    -I FORWARD 1 -j TIDE-GATE
    COMMIT
    ");
}

#[test]
fn a_hook_before_return_keeps_the_rules_of_others_in_front() {
    let now = "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n\
        -A DOCKER-USER -s 192.0.2.1/32 -j DROP\n-A DOCKER-USER -j RETURN\nCOMMIT\n";
    insta::assert_snapshot!(plan(now, [pass()]).unwrap(), @r"
    *filter
    :TIDE-PASS - [0:0]
    -A TIDE-PASS -j ACCEPT
    -I DOCKER-USER 2 -j TIDE-PASS
    COMMIT
    ");
}

#[test]
fn a_hook_behind_a_return_is_not_in_its_place() {
    let now = "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n:TIDE-PASS - [0:0]\n\
        -A FORWARD -j DOCKER-USER\n-A DOCKER-USER -j RETURN\n-A DOCKER-USER -j TIDE-PASS\n\
        -A TIDE-PASS -j ACCEPT\nCOMMIT\n";
    let text = plan(now, [pass()]).unwrap();
    assert!(text.contains("-D DOCKER-USER -j TIDE-PASS\n"), "{text}");
    assert!(text.contains("-I DOCKER-USER 1 -j TIDE-PASS\n"), "{text}");
}

#[test]
fn docker_user_without_a_jump_gets_one() {
    let now = "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n:TIDE-PASS - [0:0]\n\
        -A DOCKER-USER -j TIDE-PASS\n-A TIDE-PASS -j ACCEPT\nCOMMIT\n";
    let text = plan(now, [pass()]).unwrap();
    assert!(text.contains("-I FORWARD 1 -j DOCKER-USER\n"), "{text}");
    assert!(!text.contains("-N DOCKER-USER"), "{text}");
    assert!(!text.contains("-D DOCKER-USER"), "{text}");
}

#[test]
fn stale_chains_go_with_every_jump_to_them() {
    let now = "*raw\n:PREROUTING ACCEPT [0:0]\n:TIDE-OLD - [0:0]\n:TIDE-OLDER - [0:0]\n\
        -A PREROUTING -i eth0 -j TIDE-OLD\n-A PREROUTING -j ACCEPT\n-A TIDE-OLD -j TIDE-OLDER\nCOMMIT\n";
    insta::assert_snapshot!(plan(now, []).unwrap(), @r"
    *raw
    :TIDE-OLD - [0:0]
    :TIDE-OLDER - [0:0]
    -D PREROUTING -i eth0 -j TIDE-OLD
    -X TIDE-OLD
    -X TIDE-OLDER
    COMMIT
    ");
}

#[test]
fn a_policy_is_written_only_where_it_differs() {
    let wanted = || {
        let forward = Some(ChainPolicy::Drop);
        let table = TideTable {
            forward,
            ..TideTable::default()
        };
        [(Table::Filter, table)]
    };
    assert_eq!(
        plan("*filter\n:FORWARD DROP [9:9]\nCOMMIT\n", wanted()),
        None
    );
    for now in ["", "*filter\n:FORWARD ACCEPT [9:9]\nCOMMIT\n"] {
        let text = plan(now, wanted()).unwrap();
        assert_eq!(text, "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n");
    }
}

#[test]
fn a_comment_is_no_jump() {
    let now = "*mangle\n:FORWARD ACCEPT [0:0]\n\
        -A FORWARD -m comment --comment \"see -j TIDE-GATE\" -j ACCEPT\nCOMMIT\n";
    assert_eq!(plan(now, []), None);
}

#[test]
fn the_plan_of_a_snapshot_leads_back() {
    let before = "*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER-USER - [0:0]\n:TIDE-A - [0:0]\n\
        -A FORWARD -i eth0 -j DROP\n-A FORWARD -j TIDE-A\n-A FORWARD -i eth1 -j DROP\n\
        -A FORWARD -j TIDE-A\n-A TIDE-A -j RETURN\nCOMMIT\n";
    let snapshot = TideState::snapshot(live(before));
    assert_eq!(transaction(&live(before), &snapshot), None);
    let now = "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n:TIDE-B - [0:0]\n\
        -A FORWARD -j DOCKER-USER\n-A FORWARD -i eth0 -j DROP\n-A FORWARD -i eth1 -j DROP\n\
        -A DOCKER-USER -j TIDE-B\nCOMMIT\n";
    insta::assert_snapshot!(transaction(&live(now), &snapshot).unwrap(), @r"
    *filter
    :FORWARD ACCEPT [0:0]
    :TIDE-A - [0:0]
    :TIDE-B - [0:0]
    -D DOCKER-USER -j TIDE-B
    -A TIDE-A -j RETURN
    -D FORWARD -j DOCKER-USER
    -I FORWARD 2 -j TIDE-A
    -A FORWARD -j TIDE-A
    -X TIDE-B
    COMMIT
    ");
}

#[test]
fn an_uninstalled_machine_keeps_a_docker_user_that_others_need() {
    let ours = "*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER-USER - [0:0]\n:TIDE-PASS - [0:0]\n\
        -A FORWARD -j DOCKER-USER\n-A DOCKER-USER -j TIDE-PASS\nCOMMIT\n";
    let text = transaction(&live(ours), &TideState::uninstalled()).unwrap();
    assert!(text.contains("-X DOCKER-USER\n"), "{text}");
    assert!(text.contains("-D FORWARD -j DOCKER-USER\n"), "{text}");
    for more in [":DOCKER - [0:0]", "-A DOCKER-USER -i eth0 -j DROP"] {
        let now = ours.replace("-A FORWARD", &format!("{more}\n-A FORWARD"));
        let text = transaction(&live(&now), &TideState::uninstalled()).unwrap();
        assert!(text.contains("-X TIDE-PASS\n"), "{text}");
        assert!(!text.contains("-X DOCKER-USER\n"), "{text}");
        assert!(!text.contains("-D FORWARD"), "{text}");
    }
}

#[test]
fn what_would_be_done_is_told_in_words() {
    let told = |now: &str, wanted: Vec<(Table, TideTable)>| {
        let steps = steps(&live(now), &wanted.into_iter().collect());
        let line = |(table, step)| format!("{table}: {step}\n");
        steps.into_iter().map(line).collect::<String>()
    };
    insta::assert_snapshot!(told("", vec![gate(), pass()]), @"
    mangle: new chains TIDE-GATE
    mangle: jumps put in place in FORWARD
    filter: new chains TIDE-PASS
    filter: jumps put in place in DOCKER-USER
    filter: new chain DOCKER-USER, with a jump to it from FORWARD
    ");
    let there = "*mangle\n:FORWARD ACCEPT [0:0]\n:TIDE-GATE - [0:0]\n:TIDE-OLD - [0:0]\n\
        -A FORWARD -j TIDE-GATE\n-A TIDE-GATE -j RETURN\nCOMMIT\n";
    insta::assert_snapshot!(told(there, vec![gate()]), @"
    mangle: other rules in TIDE-GATE
    mangle: chains that go: TIDE-OLD
    ");
    let right = "*mangle\n:FORWARD ACCEPT [0:0]\n:TIDE-GATE - [0:0]\n\
        -A FORWARD -j TIDE-GATE\n-A TIDE-GATE -i lo -j RETURN\nCOMMIT\n";
    assert_eq!(told(right, vec![gate()]), "");
}
