//! What the language accepts, and the AST that comes of it.

use super::good;
use crate::syntax::ast::{
    Expose, HostSetting, Item, Member, NetworkSetting, Others, PortRange, RateUnit, Service,
    Spanned, Verb,
};

pub(super) const SHOP: &str = r#"
host {
  uplink     eth0                  # where "outside" arrives
  forwarding on
  forward    drop
  log denied limit 6/minute
}

trust office     { 203.0.113.0/24, 2001:db8:10::/48 }
trust staff      { office, 10.8.0.0/16, except 203.0.113.66 }
trust crawlers   { file "crawlers.txt" }          # one prefix a line

network shop {
  bridge br-shop
  subnet 172.18.0.0/16, fd00:18::/64
  icc    off
  egress on
}

container web on shop at 172.18.0.10, fd00:18::10 {
  expose 80/tcp  as 8080 from any  # published
  expose 443/tcp as 443  from any  limit 50/second burst 100 per source
}
container db on shop at 172.18.0.20 {
  expose 5432/tcp
  expose 9187/tcp as 9187 from monitoring, office
}

link web -> db                     # every port that db exposes
link web -> db : 5432/tcp
allow office -> shop : 22/tcp
deny  web -> outside : 25/tcp

expect web     -> db : 5432/tcp  allowed
expect outside -> db             denied
"#;

/// Returns the only item of a text.
#[track_caller]
fn item(text: &str) -> Item {
    let mut items = good(text).items;
    assert_eq!(items.len(), 1);
    items.remove(0)
}

#[track_caller]
fn exposure(statement: &str) -> Expose {
    match item(&format!("container c on n {{ {statement} }}")) {
        Item::Container(mut container) => container.exposures.remove(0),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn members(block: &str) -> Vec<Member> {
    match item(&format!("trust t {{ {block} }}")) {
        Item::Trust(trust) => trust
            .members
            .into_iter()
            .map(|member| member.node)
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn host_settings(block: &str) -> Vec<HostSetting> {
    match item(&format!("host {{\n{block}\n}}")) {
        Item::Host(host) => host
            .settings
            .into_iter()
            .map(|setting| setting.node)
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn services(list: &str) -> Vec<Service> {
    match item(&format!("allow a -> b : {list}")) {
        Item::Access(access) => access.services,
        other => panic!("{other:?}"),
    }
}

fn ports(list: &[Spanned<PortRange>]) -> Vec<(u32, u32)> {
    list.iter()
        .map(|range| (range.node.first, range.node.last))
        .collect()
}

#[test]
fn the_whole_example_is_read() {
    assert_eq!(good(SHOP).items.len(), 13);
}

#[test]
fn line_ends_may_be_those_of_windows_and_a_byte_order_mark_may_lead() {
    let file = good(&format!("\u{feff}{}", SHOP.replace('\n', "\r\n")));
    assert_eq!(file.items.len(), 13);
    let Item::Host(host) = &file.items[0] else {
        panic!("{:?}", file.items[0])
    };
    assert_eq!(host.span.start, 3 + 2);
}

#[test]
fn nothing_and_comments_are_a_file() {
    for text in ["", "\n\n", "# only words", "  # a\r\n\t# b\n"] {
        assert!(good(text).items.is_empty());
    }
}

#[test]
fn exposures_have_all_clauses() {
    let all = exposure(
        "expose 80,8000-8010/tcp as 127.0.0.1:81,9000-9010 from any, office limit 5/hour burst 9 per source log",
    );
    assert_eq!(ports(&all.service.ports), [(80, 80), (8000, 8010)]);
    let published = all.published.unwrap();
    assert_eq!(published.address.unwrap().node, "127.0.0.1");
    assert_eq!(ports(&published.ports), [(81, 81), (9000, 9010)]);
    let from: Vec<String> = all
        .from
        .unwrap()
        .into_iter()
        .map(|name| name.node)
        .collect();
    assert_eq!(from, ["any", "office"]);
    assert!(all.limits.len() == 1 && all.log.is_some());
}

#[test]
fn addresses_of_the_host_may_be_in_brackets() {
    for written in ["[fd00::1]:8080", "[ fd00::1 ] : 8080", "[\nfd00::1\n]:8080"] {
        let published = exposure(&format!("expose 80/tcp as {written} from any")).published;
        assert_eq!(published.unwrap().address.unwrap().node, "fd00::1");
    }
}

#[test]
fn services_are_lists_of_lists() {
    let list = services("80,443/tcp, 53/udp, sctp, icmp echo-request, icmp");
    assert_eq!(ports(&list[0].ports), [(80, 80), (443, 443)]);
    let protocols = list.iter().map(|one| format!("{:?}", one.protocol.node));
    let protocols: Vec<String> = protocols.collect();
    assert_eq!(protocols, ["Tcp", "Udp", "Sctp", "Icmp", "Icmp"]);
    assert_eq!(list[3].icmp_type.as_ref().unwrap().node, "echo-request");
    assert!(list[4].icmp_type.is_none() && list[2].ports.is_empty());
}

#[test]
fn what_follows_icmp_is_no_type_when_it_is_a_clause() {
    let Item::Expect(expect) = item("expect a -> b : icmp allowed") else {
        panic!("not an expectation")
    };
    assert!(expect.allowed && expect.service.unwrap().icmp_type.is_none());
    assert!(exposure("expose icmp from any").from.is_some());
}

#[test]
fn lines_go_on_after_commas_arrows_and_colons() {
    let Item::Access(access) = item("deny a, # one\n\n b ->\n c :\r\n 80,\n 81/tcp,\n icmp") else {
        panic!("not an access")
    };
    assert_eq!(access.verb.node, Verb::Deny);
    assert_eq!(
        (access.left.len(), access.right.len(), access.services.len()),
        (2, 1, 2)
    );
}

#[test]
fn arrows_need_no_blanks() {
    let Item::Access(access) = item("link web-1->db:5432/tcp") else {
        panic!("not an access")
    };
    assert_eq!(access.left[0].node, "web-1");
    assert_eq!(access.services.len(), 1);
}

#[test]
fn members_are_told_apart_by_how_they_look() {
    let all = members("172.18.0.20, beef::1\nbeef::/16\noffice-2,\n3cx\ndead\n\nfile \"a b\",\n");
    assert!(matches!(&all[0], Member::Address(text) if text == "172.18.0.20"));
    assert!(matches!(&all[1], Member::Address(text) if text == "beef::1"));
    assert!(matches!(&all[2], Member::Address(text) if text == "beef::/16"));
    assert!(matches!(&all[3], Member::Set(name) if name == "office-2"));
    assert!(matches!(&all[4], Member::Address(text) if text == "3cx"));
    assert!(matches!(&all[5], Member::Set(name) if name == "dead"));
    assert!(matches!(&all[6], Member::File(path) if path == "a b"));
    assert_eq!(all.len(), 7);
}

#[test]
fn members_may_be_ranges_and_exceptions() {
    let all = members(
        "203.0.113.5-203.0.113.9, except beef::1 - beef::9, except file \"x\", except office",
    );
    assert!(
        matches!(&all[0], Member::Range(a, b) if a.node == "203.0.113.5" && b.node == "203.0.113.9")
    );
    let excepted = |member: &Member| match member {
        Member::Except(inner) => inner.node.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(excepted(&all[1]), Member::Range(_, last) if last.node == "beef::9"));
    assert!(matches!(excepted(&all[2]), Member::File(path) if path == "x"));
    assert!(matches!(excepted(&all[3]), Member::Set(name) if name == "office"));
}

#[test]
fn the_place_of_an_exception_is_the_excepted_member() {
    let file = good("trust t { except office }");
    let Item::Trust(trust) = &file.items[0] else {
        panic!("{:?}", file.items[0])
    };
    let Member::Except(inner) = &trust.members[0].node else {
        panic!("{:?}", trust.members[0])
    };
    assert_eq!((inner.span.start, inner.span.end), (17, 23));
}

#[test]
fn hosts_have_all_settings() {
    let all = host_settings(
        "engine docker 28.5 nftables\nuplink eth0, wg0 br_x eth0.100\nforwarding on\nforward drop\n\
         route 10.0.0.0/8 via 10.1.1.1 dev wg0\nsysctl \"net.core.somaxconn\" = 4096\n\
         sysctl \"a.b\" = \"1 2\"\nlog denied limit 6/minute\nothers drop\nmark 0x800000",
    );
    assert!(
        matches!(&all[0], HostSetting::Engine { docker: true, version: Some(v), nftables: true } if v.node == "28.5")
    );
    assert!(matches!(&all[1], HostSetting::Uplink(names) if names.len() == 4));
    assert!(matches!(&all[4], HostSetting::Route { dev: Some(dev), .. } if dev.node == "wg0"));
    assert!(matches!(&all[5], HostSetting::Sysctl { value, .. } if value.node == "4096"));
    assert!(matches!(&all[6], HostSetting::Sysctl { value, .. } if value.node == "1 2"));
    assert!(
        matches!(&all[7], HostSetting::LogDenied(Some(rate)) if rate.node.unit == RateUnit::Minute)
    );
    assert!(matches!(&all[8], HostSetting::Others(Others::Drop)));
    assert!(matches!(&all[9], HostSetting::Mark(mark) if mark.node == 0x80_0000));
}

#[test]
fn blocks_may_be_empty_or_absent() {
    good(
        "host alpha {}\nhost {\n}\ntrust t { }\nnetwork n on alpha {}\ncontainer c on n {}\ncontainer d on n",
    );
}

#[test]
fn containers_attach_to_several_networks() {
    let Item::Container(container) =
        item("container db on shop at 172.18.0.20, fd00::2 on back on x")
    else {
        panic!("not a container")
    };
    let sizes: Vec<usize> = container
        .attachments
        .iter()
        .map(|one| one.addresses.len())
        .collect();
    assert_eq!(sizes, [2, 0, 0]);
}

#[test]
fn networks_have_all_settings() {
    let Item::Network(network) = item(
        "network n on h {\nbridge br0\nsubnet 10.0.0.0/8,\n fd00::/64\nicc on\negress off\nhost-access off\nantispoof off\n}",
    ) else {
        panic!("not a network")
    };
    assert_eq!(network.settings.len(), 6);
    assert!(matches!(
        network.settings[4].node,
        NetworkSetting::HostAccess(false)
    ));
}

#[test]
fn words_with_a_meaning_elsewhere_are_names() {
    good("trust file { log }\nallow link, container -> expect : tcp\nallow file -> to");
}

#[test]
fn places_leave_out_blanks_and_comments() {
    let text = "link a -> b   # why\ncontainer c on n {\n expose 80/tcp   # x\n }";
    let file = good(text);
    let Item::Access(access) = &file.items[0] else {
        panic!("{:?}", file.items[0])
    };
    assert_eq!((access.span.start, access.span.end), (0, 11));
    let Item::Container(container) = &file.items[1] else {
        panic!("{:?}", file.items[1])
    };
    let span = container.exposures[0].span;
    assert_eq!(
        &text[span.start as usize..span.end as usize],
        "expose 80/tcp"
    );
}
