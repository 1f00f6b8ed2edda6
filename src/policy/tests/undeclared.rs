//! What facts tell of an engine beside a policy.

use super::Files;
use crate::facts::Facts;
use crate::policy::ir::{Owner, Policy, Undeclared};
use crate::policy::load_with;

const NETWORKS: &str = "engine: docker 28.5.2
networks:
  bridge: {driver: bridge, bridge: docker0}
  shop: {driver: bridge, bridge: br-shop, subnets: [172.18.0.0/16]}
  swarm: {driver: overlay}
";

/// Returns what is found where the policy has the lines for `web`, and the engine these containers.
fn found(lines: &str, containers: &str) -> (Policy, Undeclared) {
    let text = format!(
        "network shop {{\n  bridge br-shop\n  subnet 172.18.0.0/16\n}}\n\
         container web on shop at 172.18.0.10 {{\n{lines}\n}}\n\
         container db on shop at 172.18.0.20 {{\n  expose 5432/tcp\n}}\n"
    );
    let facts = Facts::read(&format!("{NETWORKS}{containers}")).unwrap();
    let loaded = load_with(&Files::new(&[("p.tide", &text)]), "p.tide", Some(&facts));
    let policy = loaded.policy().expect("no mistakes").clone();
    let undeclared = policy.undeclared.clone();
    (policy, undeclared)
}

fn ports(lines: &str, containers: &str) -> Vec<String> {
    let (policy, undeclared) = found(lines, &format!("containers:\n{containers}"));
    let owner = |owner: &Owner| match owner {
        Owner::Declared(id, exposure) => {
            let name = &policy.containers[id.0].name;
            format!("closed for {name} {}", exposure.ports)
        }
        Owner::Neighbour(_, exposure) => format!("closed for a neighbour {}", exposure.ports),
        Owner::Taken(_) => "taken".to_owned(),
        Owner::Undeclared => "undeclared".to_owned(),
    };
    let all = undeclared.ports.iter();
    all.map(|port| format!("{} {}", port.outer(), owner(&port.owner)))
        .collect()
}

const AS_9000: &str = "  expose 9000/tcp as 192.0.2.1:9000 from any";
const AS_80: &str = "  expose 80/tcp as 80 from any";

#[test]
fn what_a_line_opens_is_not_listed() {
    let same = "  web: {networks: {shop: []}, ports: ['0.0.0.0:80->80/tcp', '[::]:80->80/tcp']}";
    assert!(ports(AS_80, same).is_empty());
    let named = "  web: {networks: {shop: []}, ports: ['192.0.2.1:9000->9000/tcp']}";
    assert!(ports(AS_9000, named).is_empty());
}

#[test]
fn what_is_published_otherwise_than_a_line_says_is_closed() {
    for (lines, published, expected) in [
        // At more addresses.
        (AS_9000, "9000->9000", "9000/tcp closed for web 9000"),
        (
            AS_9000,
            "0.0.0.0:9000->9000",
            "9000/tcp closed for web 9000",
        ),
        (
            AS_9000,
            "'[2001:db8::1]:9000->9000",
            "[2001:db8::1]:9000/tcp closed for web 9000",
        ),
        // To another of its ports.
        (AS_80, "80->8080", "80/tcp closed for web 8080"),
        // Not at all.
        ("  expose 80/tcp", "80->80", "80/tcp closed for web 80"),
    ] {
        let published = published.trim_start_matches('\'');
        let web = format!("  web: {{networks: {{shop: []}}, ports: ['{published}/tcp']}}");
        assert_eq!(ports(lines, &web), [expected], "{published}");
    }
}

#[test]
fn a_port_of_somebody_else_is_taken_or_nobodys() {
    let other = "  other: {networks: {bridge: []}, ports: [80->80/tcp, 81->81/tcp, 82->82/tcp]}";
    assert_eq!(
        ports(AS_80, other),
        ["80/tcp taken", "81-82/tcp undeclared"]
    );
    // The name alone makes nobody a container of the policy, nor does a label.
    let alike = "  web: {networks: {bridge: []}, ports: [80->80/tcp]}";
    assert_eq!(ports(AS_80, alike), ["80/tcp taken"]);
    let label =
        "  x: {labels: {com.docker.compose.service: web}, networks: {N: []}, ports: [80->80/tcp]}";
    assert_eq!(
        ports(AS_80, &label.replace('N', "bridge")),
        ["80/tcp taken"]
    );
    assert!(ports(AS_80, &label.replace('N', "shop")).is_empty());
    let db = "  db: {networks: {shop: []}, ports: [80->5432/tcp]}";
    assert_eq!(ports(AS_80, db), ["80/tcp taken"]);
}

#[test]
fn a_port_of_somebody_on_a_network_of_the_policys_is_one_of_that_network() {
    let admin = "  admin: {networks: {shop: [], bridge: []}, ports: [81->6379/tcp, 82->6380/tcp]}";
    let found = ports(AS_80, admin);
    assert_eq!(found, ["81-82/tcp closed for a neighbour 6379-6380"]);
}

#[test]
fn ports_in_a_row_are_one_range_where_they_lead_to_one() {
    let web =
        "  web: {networks: {shop: []}, ports: [90->90/tcp, 91->91/tcp, 92->70/tcp, 91->91/udp]}";
    let found = ports("  expose 1/tcp", web);
    let expected = [
        "91/udp closed for web 91",
        "90-91/tcp closed for web 90-91",
        "92/tcp closed for web 70",
    ];
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn bridges_are_the_engines_unless_facts_say_otherwise() {
    let machine = "machine:\n  interfaces:\n    br-lan: {kind: bridge}\n    \
                   br-0123456789ab: {kind: bridge}\n    br-veth: {kind: veth}\n    \
                   docker9: {kind: bridge}\n    br-shop: {kind: bridge}\n    docker-tun: {kind: tun}\n    br-nic: {}\n";
    let (policy, undeclared) = found(AS_80, machine);
    assert_eq!(undeclared.bridges.len(), 1);
    let named = |name| policy.is_engines(name);
    for own in [
        "docker0",
        "br-shop",
        "br-0123456789ab",
        "docker9",
        "podman1",
        "br-new",
    ] {
        assert!(named(own), "{own}");
    }
    for other in [
        "br-lan",
        "br-veth",
        "docker-tun",
        "br-nic",
        "virbr0",
        "br0",
        "eth0",
        "lo",
        "",
    ] {
        assert!(!named(other), "{other}");
    }
}

#[test]
fn no_facts_are_no_reason_to_leave_a_bridge_alone() {
    let facts = Facts::read("machine: {interfaces: {br-lan: {kind: bridge}}}").unwrap();
    let text = super::in_shop("host { uplink br-wan }\n");
    let loaded = load_with(&Files::new(&[("p.tide", &text)]), "p.tide", Some(&facts));
    let policy = loaded.policy().expect("no mistakes");
    assert!(policy.is_engines("br-lan"));
    assert!(!policy.is_engines("br-wan"));
}

#[test]
fn no_trust_set_holds_a_container_that_no_line_declares() {
    let facts = "engine: docker 28.5.2
networks:
  other: {driver: bridge, bridge: br-0123456789ab, subnets: [172.18.0.0/16, 'fd00:18::/64']}
  shop: {driver: bridge, bridge: br-shop, subnets: [172.28.0.0/16]}
";
    let facts = Facts::read(facts).unwrap();
    let holds = |lines: &str, address: &str| {
        let text = format!(
            "trust lan {{ 172.16.0.0/12, fd00::/16 }}\nnetwork shop {{\n  bridge br-shop\n  \
             subnet 172.28.0.0/16\n}}\n{lines}\n"
        );
        let loaded = load_with(&Files::new(&[("p.tide", &text)]), "p.tide", Some(&facts));
        let policy = loaded.policy().expect("no mistakes");
        policy.trusts[0].set.contains(address.parse().unwrap())
    };
    let allow = "allow lan -> shop : 80/tcp";
    for (address, held) in [
        ("172.18.0.2", false),
        ("fd00:18::2", false),
        ("172.19.0.2", true),
        ("172.17.255.255", true),
        ("fd00:19::2", true),
        // A declared network's are told by its bridge.
        ("172.28.0.2", true),
    ] {
        assert_eq!(holds(allow, address), held, "{address}");
    }
    // A denial never means less than it says.
    assert!(holds("deny lan -> shop", "172.18.0.2"));
}
