use proptest::prelude::*;

use super::*;
use crate::compile::compile_with;
use crate::compose::{Project, Variables, read};
use crate::diag::text::{Style, render};
use crate::inventory::Inventory;
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
    print(&from_compose(&project(text), "compose.yaml"))
}

/// Panics where a policy does not compile.
fn compiles(policy: &str) {
    let compiled = compile_with(&One(policy), "shop.tide", None);
    assert!(
        !compiled.has_errors(),
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
      icc    on     # as today; off leaves what links say
      egress off    # it is internal
    }

    network docker0 {
      # Docker's own, unless `bip` in daemon.json says otherwise
      bridge docker0
      subnet 172.17.0.0/16
      icc    on     # as today; off leaves what links say
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
      expose 80/tcp as 8080 from any    # as today; choose who
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
    let inventory = Inventory::read(
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
    let policy = print(&from_engine(&inventory));
    compiles(&policy);
    let compiled = compile_with(&One(&policy), "shop.tide", Some(&inventory));
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
      bridge br-1234567890ab
      subnet 172.19.0.0/16, fd00::/64
      icc    on     # as today; off leaves what links say
      egress off    # it is internal
    }

    # now at 172.18.0.2, 172.19.0.2, fd00::2
    container web on shop on web-net {
      expose 80/tcp as 8080 from any    # as today; choose who
      expose 53/udp as 127.0.0.1:53 from host
    }
    "#);
}

#[test]
fn an_engine_completes_compose_files() {
    let text = "services: {web: {ports: ['80:80']}}";
    let mut draft = from_compose(&project(text), "compose.yaml");
    let known = "networks:\n  shop_default: {driver: bridge, bridge: br-0123456789ab, subnets: [172.21.0.0/16]}\n";
    fill(&mut draft, &Inventory::read(known).unwrap());
    let policy = print(&draft);
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

proptest! {
    #[test]
    fn whatever_a_project_has_becomes_a_policy_that_compiles(
        services in prop::collection::btree_map("[a-z][a-z0-9_.-]{0,20}", (
            prop::collection::vec((1u16..60, 1u16..60, prop::bool::ANY, 0u16..3), 0..4),
            prop::collection::btree_set(prop::sample::select(vec!["a", "b-b", "default", "web"]), 0..3),
            0u32..3,
        ), 1..6),
        internal: bool,
    ) {
        let mut text = "services:\n".to_owned();
        for (name, (ports, networks, scale)) in &services {
            let port = |(host, inner, udp, more): &(u16, u16, bool, u16)| {
                let protocol = if *udp { "/udp" } else { "" };
                format!("'{host}-{}:{inner}-{}{protocol}'", host + more, inner + more)
            };
            let ports: Vec<String> = ports.iter().map(port).collect();
            let networks: Vec<&str> = networks.iter().copied().collect();
            let networks = networks.join(", ");
            let ports = ports.join(", ");
            let line = format!("  '{name}': {{ports: [{ports}], networks: [{networks}], scale: {scale}}}\n");
            text.push_str(&line);
        }
        let networks = format!("networks: {{a: {{internal: {internal}}}, b-b: , web: }}\n");
        text.push_str(&networks);
        let policy = imported(&text);
        if policy.contains("\nnetwork ") {
            compiles(&policy);
        }
    }
}
