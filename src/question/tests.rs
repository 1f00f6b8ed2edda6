use super::*;
use crate::artifact::Bundle;
use crate::compile::compile;
use crate::netfilter::Family;
use crate::netfilter::dump::States;
use crate::netfilter::trace::{End, Machine, traces};
use crate::netfilter::{lower, render, render_chains};
use crate::policy::ir::Policy;
use crate::policy::{LoadError, Loader, load};
use crate::source::SourceMap;

struct Shop;

impl Loader for Shop {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        let known = name == "shop.tide";
        known.then(|| SHOP.to_owned()).ok_or(LoadError::Missing)
    }
}

const SHOP: &str = "host {
  uplink wan0
  forwarding on
  forward drop
}
trust office { 203.0.113.0/24, 2001:db8:10::/48 }
network shop {
  bridge br-shop
  subnet 172.20.0.0/24, fd00:20::/64
}
container web on shop {
  expose 80/tcp as 8080 from office
}
container db on shop at 172.20.0.20 {
  expose 5000-5009/udp as 6000-6009 from any limit 5/second
}
";

fn shop() -> (Policy, SourceMap) {
    let loaded = load(&Shop, "shop.tide");
    (loaded.policies[0].clone(), loaded.sources)
}

fn machine(policy: &Policy, sources: &SourceMap, family: Family) -> Machine {
    let rules = lower(policy, family).unwrap();
    let rules = render(&rules, &render_chains(&rules, sources));
    of_policy(policy, &rules, family).unwrap().machine
}

/// Asks `FROM -> TO : PORT/PROTOCOL`.
fn ask(text: &str, family: Family) -> Result<(Vec<Answer>, Machine), WhoError> {
    let (policy, sources) = shop();
    let (from, rest) = text.split_once(" -> ").unwrap();
    let (to, asked) = rest.split_once(" : ").unwrap();
    let machine = machine(&policy, &sources, family);
    let (protocol, port) = service(asked, family)?;
    let question = Question {
        from,
        to,
        protocol,
        port,
        input: None,
        state: States::NEW,
        family,
    };
    let ways = ways(&question, Some(&placed(&policy)), &machine)?;
    let answer = |way: Way| Answer {
        traces: traces(&machine, &way.probe),
        way,
    };
    Ok((ways.into_iter().map(answer).collect(), machine))
}

fn bundle() -> Bundle {
    compile(&Shop, "shop.tide").bundle().unwrap()
}

fn why(text: &str) -> String {
    let (answers, machine) = ask(text, Family::V4).unwrap();
    shortest(
        &answers,
        &Told::new(&machine, Some(bundle().origins().unwrap())),
    )
}

#[test]
fn a_trace_shows_every_rule_up_to_the_one_that_decides() {
    let (answers, machine) = ask("outside -> web : 80/tcp", Family::V4).unwrap();
    let bundle = bundle();
    let told = Told::new(&machine, Some(bundle.origins().unwrap()));
    insta::assert_snapshot!(as_text(&answers, &told), @r#"
    198.51.100.1 in by wan0 to 192.0.2.1:8080/tcp, by the host's port 8080
    raw PREROUTING
        PREROUTING 1: -j TIDE-RAW
        policy ACCEPT
    nat PREROUTING
        PREROUTING 1: -m addrtype --dst-type LOCAL -j DOCKER
        DOCKER 2: ! -i br-shop -p tcp --dport 8080 -j DNAT --to-destination 172.20.0.254:80
            now to 172.20.0.254:80
    mangle FORWARD
        FORWARD 1: -j TIDE-GATE
        TIDE-GATE 4: -o br-shop -g TIDE-shop-in
        TIDE-shop-in 3: -m comment --comment "shop.tide:7" -j DROP
    => dropped by mangle TIDE-shop-in 3, shop.tide:7: outside reaches this network only as the policy says

    198.51.100.1 in by wan0 to 172.20.0.254:80/tcp, to its own address
    raw PREROUTING
        PREROUTING 1: -j TIDE-RAW
        policy ACCEPT
    nat PREROUTING
        policy ACCEPT
    mangle FORWARD
        FORWARD 1: -j TIDE-GATE
        TIDE-GATE 4: -o br-shop -g TIDE-shop-in
        TIDE-shop-in 3: -m comment --comment "shop.tide:7" -j DROP
    => dropped by mangle TIDE-shop-in 3, shop.tide:7: outside reaches this network only as the policy says
    "#);
}

#[test]
fn the_shortest_answer_names_rule_and_line() {
    let all = [
        "office -> web : 80/tcp",
        "web -> db : 5000/udp",
        "shop -> outside : 443/tcp",
        "host -> db : 5003/udp",
        "10.9.9.9 -> host : 8080/tcp",
        "outside -> 127.0.0.1 : 80/tcp",
    ];
    insta::assert_snapshot!(all.map(why).concat(), @"
    203.0.113.1 in by wan0 to 192.0.2.1:8080/tcp, by the host's port 8080: passes: out by br-shop to 172.20.0.254:80; shop.tide:12: office may reach web : 80/tcp by host port 8080
    203.0.113.1 in by wan0 to 172.20.0.254:80/tcp, to its own address: dropped by mangle TIDE-shop-in 3, shop.tide:7: outside reaches this network only as the policy says
    172.20.0.254 in by br-shop to 192.0.2.1:6000/udp, by the host's port 6000: passes: a process of the host gets it; shop.tide:15: the limits of db : 5000-5009/udp by host port 6000-6009 if not `-m hashlimit --hashlimit-above 5/sec --hashlimit-burst 5 --hashlimit-name tide-0f5cc971eb`
    172.20.0.254 in by br-shop to 192.0.2.1:6000/udp, by the host's port 6000: dropped by filter TIDE-db-limit1 1, shop.tide:15: the limits of db : 5000-5009/udp by host port 6000-6009 if `-m hashlimit --hashlimit-above 5/sec --hashlimit-burst 5 --hashlimit-name tide-0f5cc971eb`
    172.20.0.254 in by br-shop to 172.20.0.20:5000/udp, to its own address: dropped by mangle TIDE-shop-icc 2, shop.tide:7: containers of this network reach each other by link or allow only
    172.20.0.254 in by br-shop to 198.51.100.1:443/tcp: passes: out by wan0 to 198.51.100.1:443; shop.tide:7: containers of this network may go out
    the host itself to 192.0.2.1:6003/udp, by the host's port 6003: passes: out by br-shop to 172.20.0.20:5003
    the host itself to 172.20.0.20:5003/udp, to its own address: passes: out by br-shop to 172.20.0.20:5003
    10.9.9.9 in by wan0 to 192.0.2.1:8080/tcp: dropped by mangle TIDE-shop-in 3, shop.tide:7: outside reaches this network only as the policy says
    198.51.100.1 in by wan0 to 127.0.0.1:80/tcp: dropped by raw TIDE-RAW 2
    ");
}

/// What a rule means is known by its number, which others may have moved.
#[test]
fn a_chain_that_was_changed_is_told_by_comments_alone() {
    let (answers, mut machine) = ask("outside -> web : 80/tcp", Family::V4).unwrap();
    let bundle = bundle();
    let told = Told::new(&machine, Some(bundle.origins().unwrap()));
    let end = |told: &Told<'_>| {
        let json = as_json(&answers, told);
        let trace = &json[0]["traces"][0];
        (trace["source"].to_string(), trace["says"].to_string())
    };
    let line = "\"shop.tide:7\"".to_owned();
    let says = "\"outside reaches this network only as the policy says\"".to_owned();
    assert_eq!(end(&told), (line.clone(), says));
    let no_manifest = Told::new(&machine, None);
    assert_eq!(end(&no_manifest), (line.clone(), "null".to_owned()));
    let more = "*mangle\n-A TIDE-shop-in -j RETURN\nCOMMIT\n";
    machine.rules.load(more, Family::V4).unwrap();
    let changed = Told::new(&machine, Some(bundle.origins().unwrap()));
    assert_eq!(end(&changed), (line, "null".to_owned()));
}

/// A rule in front of the one that decided, in a chain that was left again, is no reason.
#[test]
fn only_what_led_to_a_rule_is_its_reason() {
    let text = "*filter\n:FORWARD ACCEPT [0:0]\n:SEEN - [0:0]\n:TIDE-DROP - [0:0]\n\
        -A FORWARD -m comment --comment \"a:1\" -j SEEN\n\
        -A FORWARD -d 172.20.0.0/24 -m comment --comment \"a:2\" -j TIDE-DROP\n\
        -A FORWARD -j DROP\n-A SEEN -m comment --comment \"a:3\" -j RETURN\n\
        -A TIDE-DROP -m comment --comment \"a:4\" -j LOG\n-A TIDE-DROP -j DROP\nCOMMIT\n";
    let (policy, _) = shop();
    let machine = of_rules(text, Some(&policy), "eth0", Family::V4).unwrap();
    let end = |to: &str| {
        let question = Question {
            from: "203.0.113.9",
            to,
            protocol: 6,
            port: 80,
            input: Some("wan0"),
            state: States::NEW,
            family: Family::V4,
        };
        let ways = ways(&question, None, &machine.machine).unwrap();
        let answer = |way: Way| Answer {
            traces: traces(&machine.machine, &way.probe),
            way,
        };
        let answers: Vec<Answer> = ways.into_iter().map(answer).collect();
        shortest(&answers, &Told::new(&machine.machine, None))
    };
    assert!(end("172.20.0.9").ends_with("dropped by filter TIDE-DROP 2, a:2\n"));
    assert!(end("172.30.0.9").ends_with("dropped by filter FORWARD 3\n"));
}

#[test]
fn a_port_of_a_range_is_asked_for_at_its_own_port_of_the_host() {
    let (answers, _) = ask("outside -> db : 5003/udp", Family::V4).unwrap();
    assert_eq!(answers[0].way.probe.port, 6003);
    // Within the limit and over it.
    let ends: Vec<&End> = answers[0].traces.iter().map(|trace| &trace.end).collect();
    assert_eq!(ends, [&End::Out("br-shop".to_owned()), &End::Dropped]);
    assert!(!answers[0].arrives());
}

#[test]
fn a_question_that_cannot_be_asked_says_why() {
    let said = |text: &str| ask(text, Family::V6).map(|_| ()).unwrap_err().to_string();
    for (text, expected) in [
        (
            "nobody -> web : 80/tcp",
            "`nobody` is neither an address nor a name of the policy",
        ),
        (
            "10.0.0.1 -> web : 80/tcp",
            "`10.0.0.1` has no IPv6 address that is known",
        ),
        (
            "office -> web : http",
            "`http` is not a port and its protocol",
        ),
        (
            "office -> web : 99999/tcp",
            "`99999/tcp` is not a port and its protocol",
        ),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn a_running_machine_is_what_ip_prints() {
    let addresses = r#"[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},
        {"ifname":"eth0","addr_info":[{"local":"192.0.2.1","prefixlen":24},{"local":"fe80::1","prefixlen":64}]}, {}]"#;
    let routes = r#"[{"dst":"default","dev":"eth0"},{"dst":"10.0.0.0/8","dev":"wg0"},{"dst":"10.1.1.1","dev":"x"}]"#;
    let machine = of_live("*filter\nCOMMIT\n", addresses, routes, Family::V4).unwrap();
    assert!(machine.is_local("192.0.2.1".parse().unwrap()));
    for (to, by) in [
        ("10.2.0.1", "wg0"),
        ("10.1.1.1", "x"),
        ("8.8.8.8", "eth0"),
        ("127.0.0.2", "lo"),
    ] {
        assert_eq!(machine.route(to.parse().unwrap()), Some(by), "{to}");
    }
    assert!(of_live("", "{", "", Family::V4).is_err());
    assert!(of_live("*filter\n", "", "", Family::V4).is_err());
}
