use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::compile::{How, compile_with};
use crate::compose::{Project, Variables, read};
use crate::diag::text::{Style, render};
use crate::diag::{Diagnostic, code};
use crate::facts::Facts;
use crate::policy::{LoadError, Loader, load};

struct One<'t>(&'t str);

impl Loader for One<'_> {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        let known = name == "shop.tide";
        known.then(|| self.0.to_owned()).ok_or(LoadError::Missing)
    }
}

fn project(text: &str) -> Project {
    let files = [("compose.yaml".to_owned(), text.to_owned())];
    read(&files, "shop", &Variables::new()).unwrap()
}

fn imported(text: &str) -> String {
    written(&from_compose(&project(text), "compose.yaml"))
}

/// Panics where it does not compile.
fn written(draft: &Draft) -> String {
    let text = policy(draft);
    let text = text.unwrap_or_else(|compiled| panic!("{draft:#?}\n{:#?}", compiled.diagnostics));
    compiles(&text);
    text
}

/// Panics where a policy does not compile, or says something for nothing. A port to which nobody is
/// linked is for its reader to choose about.
fn compiles(policy: &str) {
    let mut compiled = compile_with(&One(policy), "shop.tide", None, How::default());
    compiled.lint();
    let choice = |it: &Diagnostic| it.code == code::UNLINKED;
    let idle = |it: &Diagnostic| it.code.0.starts_with("T06") && !choice(it);
    assert!(
        !compiled.has_errors() && !compiled.diagnostics.iter().any(idle),
        "{policy}\n{:#?}",
        compiled.diagnostics
    );
}

fn differences(policy: &str, compose: &str) -> String {
    let loaded = load(&One(policy), "shop.tide");
    let policy = loaded.policies.first().expect("the policy is in order");
    let found = compare(policy, &project(compose), "compose.yaml");
    let style = Style {
        colour: false,
        width: 100,
    };
    render(&found, &loaded.sources, "", style)
}

const COMPOSE: &str = "
services:
  web:
    ports: ['8080:80', '443', '9000-9010:90', '[::1]:81:81', '8080:8080']
    networks: {front: , back: {ipv4_address: 172.29.0.10}}
    links: [db, cache]
  db: {expose: ['5432'], networks: {back: {ipv4_address: 172.29.0.20}}, depends_on: [web]}
  cache: {networks: [back], scale: 2, ports: ['6379:6379'], profiles: [big]}
  net: {network_mode: 'service:web'}
  old: {network_mode: bridge, ports: ['127.0.0.1:70:70/udp']}
  wire: {networks: [lan]}
networks:
  front: {internal: true}
  back:
    driver_opts: {com.docker.network.bridge.name: br-back, com.docker.network.bridge.enable_icc: 'false'}
    ipam: {config: [{subnet: 172.30.0.0/24}, {subnet: 172.29.0.0/24}]}
  lan: {driver: macvlan}
";

#[test]
#[expect(clippy::too_many_lines, reason = "the policy is shown whole")]
fn compose_files_become_a_policy() {
    let policy = imported(COMPOSE);
    compiles(&policy);
    insta::assert_snapshot!(policy, @r#"
    # A first policy, from compose.yaml: what is open today stays open. Lines that say "choose" want you to.
    # Left out: the network lan, of the driver macvlan: no rule of this host sees its packets.
    # Left out: net, with the network mode service:web: it shares another one's network, where its ports belong to that one.
    # Left out: wire, which is on none of the networks here.

    host {
      # uplink eth0      choose: the interfaces that face outside; without it, all but the bridges here
      forwarding on
      forward    drop
    }

    # choose: who is trusted, and write `from office` in the place of `from any` below
    # trust office { 203.0.113.0/24 }

    network back {
      bridge br-back
      subnet 172.30.0.0/24, 172.29.0.0/24
    }

    network front {
      # choose: nobody says these yet. The network shop_front must get them, or the policy is about
      # another one: `tidegate check --compose` tells. In the compose file, below this network:
      #   driver_opts: { com.docker.network.bridge.name: br-front }
      #   ipam: { config: [ { subnet: 172.30.1.0/24 } ] }
      bridge br-front
      subnet 172.30.1.0/24
      icc    on   # as today; off leaves what links say
      egress off  # it is internal
    }

    network docker0 {
      # Docker's own, unless `bip` in daemon.json says otherwise
      bridge docker0
      subnet 172.17.0.0/16
      icc    on  # as today; off leaves what links say
    }

    # 6379/tcp is published, too, but several containers share the host's ports
    # runs with the profile big only
    container shop-cache-1 on back {
      expose 6379/tcp
    }

    # 6379/tcp is published, too, but several containers share the host's ports
    # runs with the profile big only
    container shop-cache-2 on back {
      expose 6379/tcp
    }

    container shop-db-1 on back at 172.29.0.20 {
      expose 5432/tcp
    }

    container shop-old-1 on docker0 {
      expose 70/udp as 127.0.0.1:70 from host
    }

    # 443/tcp is published, too, but Docker picks the host's port
    # 90/tcp is published, too, but Docker picks one of the host's ports 9000-9010
    # 81/tcp is published, too, but nothing can be translated from ::1
    # 8080/tcp is published, too, but another container has the host's port 8080
    container shop-web-1 on back at 172.29.0.10 on front {
      expose 80/tcp as 8080 from any  # as today; choose who
      expose 443/tcp
      expose 90/tcp
      expose 81/tcp
      expose 8080/tcp
    }

    # Who may connect to whom where `icc` is off, and between networks.
    # link shop-db-1 -> shop-web-1    it depends on it
    # link shop-web-1 -> shop-db-1    choose: fix the addresses of shop-web-1, or give an inventory
    # link shop-web-1 -> shop-cache-1    choose: fix the addresses of shop-web-1, or give an inventory
    # link shop-web-1 -> shop-cache-2    choose: fix the addresses of shop-web-1, or give an inventory
    "#);
}

#[test]
fn an_engine_becomes_a_policy() {
    let inventory = Facts::read(
        "engine: docker 28.5.2
networks:
  shop: {driver: bridge, bridge: br-shop, subnets: [172.18.0.0/16], icc: false}
  web: {driver: bridge, bridge: br-1234567890ab, subnets: [172.19.0.0/16, 'fd00::/64'], internal: true}
  unused: {driver: bridge, bridge: br-2, subnets: [172.20.0.0/16]}
  lan: {driver: ipvlan, subnets: [192.0.2.0/24]}
containers:
  web:
    networks: {shop: [172.18.0.2], web: [172.19.0.2, 'fd00::2']}
    ports: ['8080->80/tcp', '8080->80/tcp', '127.0.0.1:53->53/udp']
  probe: {networks: {lan: [192.0.2.9]}}
",
    )
    .unwrap();
    let policy = written(&from_engine(&inventory));
    compiles(&policy);
    let compiled = compile_with(&One(&policy), "shop.tide", Some(&inventory), How::default());
    assert!(!compiled.has_errors(), "{:#?}", compiled.diagnostics);
    insta::assert_snapshot!(policy, @r#"
    # A first policy, from docker 28.5.2: what is open today stays open. Lines that say "choose" want you to.
    # Left out: the network lan, of the driver ipvlan: no rule of this host sees its packets.
    # Left out: probe, which is on none of the networks here.

    host {
      # uplink eth0      choose: the interfaces that face outside; without it, all but the bridges here
      forwarding on
      forward    drop
    }

    # choose: who is trusted, and write `from office` in the place of `from any` below
    # trust office { 203.0.113.0/24 }

    network shop {
      bridge br-shop
      subnet 172.18.0.0/16
    }

    network web-net {
      # the engine calls it web
      bridge br-1234567890ab
      subnet 172.19.0.0/16, fd00::/64
      icc    on   # as today; off leaves what links say
      egress off  # it is internal
    }

    # now at 172.18.0.2, 172.19.0.2, fd00::2
    container web on shop on web-net {
      expose 80/tcp as 8080         from any  # as today; choose who
      expose 53/udp as 127.0.0.1:53 from host
    }
    "#);
}

#[test]
fn an_engine_completes_compose_files() {
    let text = "services: {web: {ports: ['80:80']}}";
    let mut draft = from_compose(&project(text), "compose.yaml");
    let known = "networks:\n  shop_default: {driver: bridge, bridge: br-0123456789ab, subnets: [172.21.0.0/16]}\n";
    fill(&mut draft, &Facts::read(known).unwrap());
    let policy = written(&draft);
    compiles(&policy);
    assert!(
        policy.contains("bridge br-0123456789ab\n  subnet 172.21.0.0/16\n"),
        "{policy}"
    );
    assert!(!policy.contains("nobody says"), "{policy}");
}

#[test]
fn long_names_give_bridges_that_stay_apart() {
    let text = "services: {a: {networks: [a-very-long-network, a-very-long-network-too]}}";
    let policy = imported(text);
    compiles(&policy);
    assert!(
        policy.contains("bridge br-averylongnet\n") && policy.contains("bridge br-averylongne2\n"),
        "{policy}"
    );
}

const SHOP: &str = "host {
  forwarding on
  forward drop
}
network back {
  bridge br-back
  subnet 172.29.0.0/24
}
container shop-db on back at 172.29.0.20 { expose 5432/tcp }
container web on back { expose 80/tcp as 8080 from any }
";

const AGREES: &str = "
services:
  web: {ports: ['8080:80'], networks: [back]}
  db: {container_name: shop-db, networks: {back: {ipv4_address: 172.29.0.20}}}
networks:
  back:
    driver_opts: {com.docker.network.bridge.name: br-back}
    ipam: {config: [{subnet: 172.29.0.0/24}]}
";

#[test]
fn what_agrees_is_no_news() {
    assert_eq!(differences(SHOP, AGREES), "");
}

#[test]
fn contradictions_are_told_with_what_follows() {
    let other = AGREES
        .replace("'8080:80'", "'127.0.0.1:8080:80', '9090:90'")
        .replace("172.29.0.20", "172.29.0.21")
        .replace("name: br-back", "name: br-other")
        .replace("subnet: 172.29.0.0/24", "subnet: 172.31.0.0/24");
    insta::assert_snapshot!(differences(SHOP, &other), @"
    error[T0361]: the bridge of `back` is `br-other`, says compose.yaml
     --> shop.tide:5:9
      |
    5 | network back {
      |         ^^^^ the policy says `br-back`
      |
      = note: The rules would be about a network that nobody has.

    error[T0361]: the network `back` has the subnet 172.31.0.0/24, says compose.yaml
     --> shop.tide:5:9
      |
    5 | network back {
      |         ^^^^ the policy does not name it
      |
      = note: The rules would be about a network that nobody has.

    error[T0361]: `shop-db` is at 172.29.0.21, says compose.yaml
     --> shop.tide:9:11
      |
    9 | container shop-db on back at 172.29.0.20 { expose 5432/tcp }
      |           ^^^^^^^ the policy says 172.29.0.20
      |
      = note: Rules about an address are about whoever has it.
      = help: write the same address as `ipv4_address` or `ipv6_address` of the service's network

    warning[T0362]: `web` publishes 9090->90/tcp, and the policy does not say so
      --> shop.tide:10:11
       |
    10 | container web on back { expose 80/tcp as 8080 from any }
       |           ^^^ nobody may connect to it
       |
       = help: write `expose 90/tcp as 9090 from …`, or take the port out there

    warning[T0362]: compose.yaml publishes port 8080 of `web` on 127.0.0.1
      --> shop.tide:10:25
       |
    10 | container web on back { expose 80/tcp as 8080 from any }
       |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the policy is about every address
    ");
}

#[test]
fn a_link_that_the_policy_does_not_open_is_told() {
    let other = AGREES.replace("networks: [back]}", "networks: [back], links: [db]}");
    insta::assert_snapshot!(differences(SHOP, &other), @"
    warning[T0366]: compose.yaml links `web` to `shop-db`, and the policy does not
      --> shop.tide:10:11
       |
    10 | container web on back { expose 80/tcp as 8080 from any }
       |           ^^^ its connections there are dropped
       |
       = help: write `link web -> shop-db`, or take the link out there
    ");
    let with_icc = SHOP.replace("  subnet", "  icc on\n  subnet");
    assert_eq!(differences(&with_icc, &other), "");
    for open in ["allow back -> shop-db : 5432/tcp", "allow any -> back"] {
        assert_eq!(differences(&format!("{SHOP}{open}\n"), &other), "");
    }
}

#[test]
fn what_only_one_side_has_is_told() {
    let other = "
services:
  db: {networks: [back]}
  new: {ports: ['53:53/udp'], networks: [back, extra]}
";
    insta::assert_snapshot!(differences(SHOP, other), @"
    warning[T0363]: compose.yaml leaves the bridge of `back` to Docker
     --> shop.tide:5:9
      |
    5 | network back {
      |         ^^^^ the policy is true only where Docker picks the same
      |
      = help: write `driver_opts: { com.docker.network.bridge.name: br-back }` there

    warning[T0363]: compose.yaml leaves the subnet of `back` to Docker
     --> shop.tide:5:9
      |
    5 | network back {
      |         ^^^^ the policy is true only where Docker picks the same
      |
      = help: write `ipam: { config: [ { subnet: 172.29.0.0/24 } ] }` there

    warning[T0365]: the policy does not declare the network `shop_extra` of compose.yaml
     |
     = note: What is not declared is left to the engine, published ports among it.
     = help: declare it, as `tidegate import` shows

    warning[T0365]: the policy does not declare the container `shop-db-1` of compose.yaml
     |
     = note: On a declared network it gets what the network gets, and nobody may connect to it.

    warning[T0365]: the policy does not declare the container `shop-new-1` of compose.yaml
     |
     = note: On a declared network its published ports are closed: 53->53/udp.

    warning[T0364]: no service makes the container `shop-db`
     --> shop.tide:9:11
      |
    9 | container shop-db on back at 172.29.0.20 { expose 5432/tcp }
      |           ^^^^^^^ not in compose.yaml
      |
      = note: Its rules are about nobody, or about whoever gets its address.

    warning[T0364]: no service makes the container `web`
      --> shop.tide:10:11
       |
    10 | container web on back { expose 80/tcp as 8080 from any }
       |           ^^^ not in compose.yaml
       |
       = note: Its rules are about nobody, or about whoever gets its address.
    ");
}

/// Names as an engine takes them, often those that a policy has for itself.
fn names() -> impl Strategy<Value = String> {
    let known = [
        "any",
        "host",
        "outside",
        "group",
        "let",
        "port",
        "service",
        "tag",
        "when",
        "on",
        "at",
        "from",
        "as",
        "log",
        "limit",
        "allowed",
        "docker0",
        "default",
        "a",
        "a-net",
        "192.0.2.1",
        "a.-",
        "a->b",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}",
        "[a-z]{62,70}",
    ]
}

proptest! {
    #[test]
    fn whatever_a_project_has_becomes_a_policy_that_compiles(
        services in prop::collection::btree_map(names(), (
            prop::collection::vec((1u16..60, 1u16..60, prop::bool::ANY, 0u16..3), 0..4),
            prop::collection::btree_set(0usize..4, 0..3),
            0u32..3,
            prop::option::of(names()),
            prop::bool::ANY,
        ), 1..6),
        networks in prop::collection::vec(names(), 4),
        internal: bool,
    ) {
        let mut text = "services:\n".to_owned();
        let first = services.keys().next().cloned().unwrap_or_default();
        for (name, (ports, on, scale, called, linked)) in &services {
            let port = |(host, inner, udp, more): &(u16, u16, bool, u16)| {
                let protocol = if *udp { "/udp" } else { "" };
                format!("'{host}-{}:{inner}-{}{protocol}'", host + more, inner + more)
            };
            let ports: Vec<String> = ports.iter().map(port).collect();
            let on = on.iter().filter_map(|index| networks.get(*index));
            let on: BTreeSet<String> = on.map(|name| format!("'{name}'")).collect();
            let on: Vec<String> = on.into_iter().collect();
            let own = called.as_ref().map_or_else(
                || format!("scale: {scale}"),
                |called| format!("container_name: '{called}'"),
            );
            let links = if *linked { format!(", links: ['{first}']") } else { String::new() };
            let line = format!(
                "  '{name}': {{ports: [{}], networks: [{}], {own}{links}}}\n",
                ports.join(", "), on.join(", "),
            );
            text.push_str(&line);
        }
        let declared: BTreeSet<&String> = networks.iter().collect();
        let declared: Vec<String> = declared
            .into_iter()
            .map(|name| format!("'{name}': {{internal: {internal}}}"))
            .collect();
        let _ = writeln!(text, "networks: {{{}}}", declared.join(", "));
        let draft = from_compose(&project(&text), "compose.yaml");
        if !draft.networks.is_empty() {
            written(&draft);
        }
    }

    #[test]
    fn whatever_an_engine_has_becomes_a_policy_that_compiles(
        containers in prop::collection::btree_map(names(), (
            prop::collection::btree_set(0usize..3, 1..3),
            prop::collection::vec((prop::sample::select(vec!["", "127.0.0.1:", "[::1]:", "192.0.2.7:"]), 1u16..60, 1u16..60), 0..4),
        ), 1..6),
        networks in prop::collection::vec(names(), 3),
    ) {
        let mut text = "networks:\n".to_owned();
        let mut seen = BTreeSet::new();
        for (index, name) in networks.iter().enumerate().filter(|(_, name)| seen.insert((*name).clone())) {
            let _ = writeln!(
                text,
                "  '{name}': {{driver: bridge, bridge: br-{index}, subnets: [172.18.{index}.0/24]}}"
            );
        }
        text.push_str("containers:\n");
        for (name, (on, ports)) in &containers {
            let on: BTreeSet<&String> = on.iter().filter_map(|at| networks.get(*at)).collect();
            let on: Vec<String> = on.into_iter().map(|name| format!("'{name}': []")).collect();
            let ports: Vec<String> = ports.iter().map(|(at, host, inner)| format!("'{at}{host}->{inner}/tcp'")).collect();
            let (on, ports) = (on.join(", "), ports.join(", "));
            let _ = writeln!(text, "  '{name}': {{networks: {{{on}}}, ports: [{ports}]}}");
        }
        let inventory = Facts::read(&text).unwrap();
        written(&from_engine(&inventory));
    }
}

#[test]
fn names_that_the_language_keeps_are_given_an_ending() {
    let text = "
services:
  host: {container_name: host, networks: [outside, any], links: [port]}
  port: {container_name: port, networks: [any], expose: ['1']}
networks: {outside: , any: {name: outside-net}}
";
    let policy = imported(text);
    compiles(&policy);
    insta::assert_snapshot!(policy, @r#"
    # A first policy, from compose.yaml: what is open today stays open. Lines that say "choose" want you to.

    host {
      # uplink eth0      choose: the interfaces that face outside; without it, all but the bridges here
      forwarding on
      forward    drop
    }

    # choose: who is trusted, and write `from office` in the place of `from any` below
    # trust office { 203.0.113.0/24 }

    network any-net {
      # called any there, where something else has that name, or the language
      # choose: nobody says these yet. The network outside-net must get them, or the policy is about
      # another one: `tidegate check --compose` tells. In the compose file, below this network:
      #   driver_opts: { com.docker.network.bridge.name: br-anynet }
      #   ipam: { config: [ { subnet: 172.30.0.0/24 } ] }
      bridge br-anynet
      subnet 172.30.0.0/24
      icc    on  # as today; off leaves what links say
    }

    network outside-net {
      # called outside there, where something else has that name, or the language
      # choose: nobody says these yet. The network shop_outside must get them, or the policy is about
      # another one: `tidegate check --compose` tells. In the compose file, below this network:
      #   driver_opts: { com.docker.network.bridge.name: br-outsidenet }
      #   ipam: { config: [ { subnet: 172.30.1.0/24 } ] }
      bridge br-outsidenet
      subnet 172.30.1.0/24
      icc    on  # as today; off leaves what links say
    }

    # the engine calls it host, which is no name here: no inventory tells its address
    container host-container on any-net on outside-net

    # the engine calls it port, which is no name here: no inventory tells its address
    container port-container on any-net {
      expose 1/tcp
    }

    # Who may connect to whom where `icc` is off, and between networks.
    # link host-container -> port-container    choose: fix the addresses of host-container, or give an inventory
    "#);
    let found = differences(&policy, text);
    assert!(
        !found.contains("T0365") && !found.contains("T0364"),
        "{found}"
    );
}

#[test]
fn subnets_are_proposed_around_fixed_addresses() {
    let text = "
services: {a: {networks: {lan: {ipv4_address: 10.1.2.3, ipv6_address: 'fd00::7'}}}}
networks: {lan: {external: true}}
";
    let policy = imported(text);
    assert!(
        policy.contains("subnet 10.1.2.0/24, fd00::/64\n"),
        "{policy}"
    );
}

#[test]
fn what_contradicts_itself_is_not_written() {
    let text = "
services: {a: {networks: [one, two]}}
networks: {one: {ipam: {config: [{subnet: 10.0.0.0/24}]}}, two: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}
";
    let refused = policy(&from_compose(&project(text), "compose.yaml"));
    assert!(refused.is_err(), "{refused:?}");
}
