//! Policies without mistakes and what they resolve to.

use super::{Files, in_shop, load, load_text};
use crate::net::PortRange;
use crate::policy::ir::{
    Backend, ContainerId, Effect, Engine, ForwardPolicy, IfName, NetworkId, Party, Policy,
    Protocol, Rate, RateUnit, Release, Service, TrustId,
};
use crate::policy::settings::DEFAULT_MARK;

fn resolved(text: &str) -> Policy {
    let loaded = load_text(text);
    let said = loaded.diagnostics.into_sorted();
    let policy = loaded.policies.into_iter().next();
    policy.unwrap_or_else(|| panic!("{said:#?}"))
}

fn ports(first: u16, last: u16) -> PortRange {
    PortRange { first, last }
}

fn tcp(port: u16) -> Service {
    Service::Ports(Protocol::Tcp, Some(ports(port, port)))
}

#[test]
fn the_host_block_is_read() {
    let policy = resolved(&in_shop(
        "host alpha {\n uplink eth0, eth0.100\n forwarding on\n forward drop\n mark 0x10\n\
         engine docker 28.5.1\n log denied limit 6/minute\n sysctl \"net.core.somaxconn\" = 4096\n}",
    ));
    let host = policy.host;
    assert_eq!(host.name.as_deref(), Some("alpha"));
    let names: Vec<&str> = host.uplinks.iter().map(|name| name.0.as_str()).collect();
    assert_eq!(names, ["eth0", "eth0.100"]);
    assert_eq!(host.forwarding.map(|(on, _)| on), Some(true));
    assert_eq!(
        host.forward.map(|(policy, _)| policy),
        Some(ForwardPolicy::Drop)
    );
    assert_eq!(host.mark, 0x10);
    let (major, minor) = (28, Some(5));
    let release = Some(Release { major, minor });
    let backend = Backend::Iptables;
    assert_eq!(host.engine, Engine::Docker { release, backend });
    let unit = RateUnit::Minute;
    assert_eq!(host.log_denied.unwrap().rate, Some(Rate { count: 6, unit }));
    assert_eq!(host.sysctls[0].key, "net.core.somaxconn");
    assert_eq!(host.sysctls[0].value, "4096");
}

#[test]
fn a_policy_without_a_host_block_has_the_defaults() {
    let host = resolved(&in_shop("")).host;
    let (release, backend) = (None, Backend::Iptables);
    assert_eq!(host.engine, Engine::Docker { release, backend });
    assert_eq!(host.mark, DEFAULT_MARK);
    assert!(host.forwarding.is_none() && host.forward.is_none());
    assert!(host.uplinks.is_empty() && host.log_denied.is_none());
}

#[test]
fn networks_have_the_defaults_of_the_language() {
    let policy = resolved(&in_shop(
        "network open {\n bridge docker0\n subnet 10.5.0.0/16, fd00:5::/64\n icc on\n egress off\n\
         host-access off\n antispoof off\n}",
    ));
    let [shop, open] = policy.networks.as_slice() else {
        panic!("two networks");
    };
    assert_eq!(shop.bridge, IfName("br-shop".to_owned()));
    assert!(!shop.icc && shop.egress && shop.host_access && shop.antispoof);
    assert!(open.icc && !open.egress && !open.host_access && !open.antispoof);
    assert_eq!(open.subnets.len(), 2);
}

#[test]
fn sets_hold_their_members_without_the_exceptions() {
    let policy = resolved(&in_shop(
        "trust staff {\n office, 10.8.0.0/16\n except 203.0.113.66, except guests\n}\n\
         trust office { 203.0.113.0/24, 2001:db8:10::/48 }\n\
         trust guests { 10.8.9.0-10.8.9.255 }",
    ));
    let staff = &policy.trusts[0].set;
    let holds = |address: &str| staff.contains(address.parse().unwrap());
    assert!(holds("203.0.113.65") && holds("203.0.113.67") && holds("2001:db8:10::9"));
    assert!(holds("10.8.8.255") && holds("10.8.10.0"));
    assert!(!holds("203.0.113.66") && !holds("10.8.9.0") && !holds("10.8.9.255"));
    assert!(!holds("192.0.2.1"));
}

#[test]
fn lists_are_relative_to_the_file_that_names_them() {
    let main = in_shop("include \"sets/all.tide\"");
    let files = Files::new(&[
        ("etc/p.tide", &main),
        (
            "etc/sets/all.tide",
            "trust crawlers { file \"lists/../c.txt\" }",
        ),
        (
            "etc/sets/c.txt",
            "\u{feff}# crawlers\r\n192.0.2.0/25 # one\r\n\r\n2001:db8::1\r\n",
        ),
    ]);
    let loaded = load(&files, "etc/p.tide");
    let policy = loaded.policy().expect("no mistakes").clone();
    let set = &policy.trusts[0].set;
    assert_eq!(set.v4_prefixes(), ["192.0.2.0/25".parse().unwrap()]);
    assert_eq!(set.v6_prefixes(), ["2001:db8::1/128".parse().unwrap()]);
}

#[test]
fn a_file_that_is_included_twice_counts_once() {
    let main = in_shop("include \"a.tide\"\ninclude \"b.tide\"\ninclude \"./a.tide\"");
    let files = Files::new(&[
        ("p.tide", &main),
        ("a.tide", "trust office { 192.0.2.1 }"),
        ("b.tide", "include \"a.tide\""),
    ]);
    let loaded = load(&files, "p.tide");
    assert_eq!(
        loaded.policy().expect("no mistakes").clone().trusts.len(),
        1
    );
}

#[test]
fn ports_and_host_ports_go_in_pairs() {
    let policy = resolved(&in_shop(
        "container x on shop {\n expose 80,8000-8002/tcp as 192.0.2.1:90-91,70-71 from any log\n}",
    ));
    let found: Vec<_> = policy.containers[2]
        .exposures
        .iter()
        .map(|exposure| (exposure.ports, exposure.published.as_ref().unwrap().ports))
        .collect();
    let expected = [
        (ports(80, 80), ports(90, 90)),
        (ports(8000, 8000), ports(91, 91)),
        (ports(8001, 8002), ports(70, 71)),
    ];
    assert_eq!(found, expected);
    let exposure = &policy.containers[2].exposures[0];
    assert!(exposure.log);
    assert_eq!(exposure.from, [Party::Any]);
    let address = exposure.published.as_ref().unwrap().address;
    assert_eq!(address, Some("192.0.2.1".parse().unwrap()));
}

#[test]
fn all_ports_of_a_protocol_can_be_exposed() {
    let policy = resolved(&in_shop("container x on shop { expose udp }"));
    let exposure = &policy.containers[2].exposures[0];
    assert_eq!(
        (exposure.protocol, exposure.ports),
        (Protocol::Udp, ports(1, 65535))
    );
    assert!(exposure.from.is_empty() && exposure.published.is_none());
}

#[test]
fn a_link_is_one_access_for_each_right_side() {
    let policy = resolved(&in_shop(
        "container x on shop at 172.18.0.30 {\n expose 1-2/udp as 11-12 from any\n expose 3/tcp\n}\n\
         link web -> db, x",
    ));
    let [to_db, to_x] = policy.accesses.as_slice() else {
        panic!("two accesses");
    };
    let container = |id| vec![Party::Container(ContainerId(id))];
    assert!(to_db.link && to_x.link);
    assert_eq!(
        (&*to_db.left, &to_db.right),
        (&*container(0), &container(1))
    );
    assert_eq!(to_db.services, [tcp(5432)]);
    assert_eq!(to_x.right, container(2));
    let udp = Service::Ports(Protocol::Udp, Some(ports(1, 2)));
    assert_eq!(to_x.services, [udp, tcp(3)]);
}

#[test]
fn a_link_with_ports_is_to_these_alone() {
    let policy = resolved(&in_shop(
        "container x on shop at 172.18.0.30 {\n expose 80-89/tcp\n expose 90/tcp\n}\n\
         link web -> x : 85-90/tcp",
    ));
    let service = Service::Ports(Protocol::Tcp, Some(ports(85, 90)));
    assert_eq!(policy.accesses[0].services, [service]);
}

#[test]
fn allows_and_denies_keep_their_sides_and_services() {
    let policy = resolved(&in_shop(
        "trust office { 192.0.2.0/24 }\n\
         allow office, host -> shop : 22,80/tcp, icmp echo-request, udp\n\
         deny web -> outside, any\n\
         expect office -> db : 5432/tcp denied",
    ));
    let [allow, deny] = policy.accesses.as_slice() else {
        panic!("two accesses");
    };
    assert_eq!((allow.effect, allow.link), (Effect::Allow, false));
    assert_eq!(*allow.left, [Party::Trust(TrustId(0)), Party::Host]);
    assert_eq!(allow.right, [Party::Network(NetworkId(0))]);
    assert_eq!(allow.services[..2], [tcp(22), tcp(80)]);
    let Service::Icmp(Some(echo)) = allow.services[2] else {
        panic!("an ICMP type");
    };
    assert_eq!((echo.v4, echo.v6), (Some(8), Some(128)));
    assert_eq!(allow.services[3], Service::Ports(Protocol::Udp, None));
    assert_eq!((deny.effect, deny.services.len()), (Effect::Deny, 0));
    assert_eq!(deny.right, [Party::Outside, Party::Any]);
    let expectation = &policy.expectations[0];
    assert!(!expectation.allowed);
    assert_eq!(expectation.left, Party::Trust(TrustId(0)));
    assert_eq!(expectation.services, [tcp(5432)]);
}

#[test]
fn published_exposures_need_no_address() {
    let policy = resolved(&in_shop(
        "trust office { 192.0.2.0/24 }\n\
         container x on shop {\n expose 80/tcp as 80 from any\n expose 81/tcp as 81 from office, shop, db\n\
         expose 82/tcp as 127.0.0.1:82 from host\n expose 83/tcp from host\n}",
    ));
    assert_eq!(policy.containers[2].exposures.len(), 4);
    assert!(policy.containers[2].attachments[0].addresses.is_empty());
}

#[test]
fn one_host_port_serves_two_addresses_and_two_protocols() {
    let policy = resolved(&in_shop(
        "container x on shop {\n expose 53/tcp as 192.0.2.1:53 from any\n\
         expose 53/tcp as 192.0.2.2:53 from any\n expose 53/udp as 53 from any\n}",
    ));
    assert_eq!(policy.containers[2].exposures.len(), 3);
}

#[test]
fn a_warning_does_not_stop_the_policy() {
    let loaded = load_text(&in_shop("host { forwarding on }"));
    assert!(!loaded.policies.is_empty());
    assert_eq!(loaded.diagnostics.into_sorted().len(), 1);
}
