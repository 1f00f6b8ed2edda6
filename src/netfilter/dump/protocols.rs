//! Names of IP protocols.

/// The list of `getprotobyname(3)` as Debian's netbase 6.5 has it in /etc/protocols, which is IANA's
/// "Assigned Internet Protocol Numbers" with the kernel's additions, and the names of iptables'
/// own list (`xtables_chain_protos`). A number above 255 is cut to eight bits, as iptables cuts it.
const NAMES: [(&str, u8); 63] = [
    ("ah", 51),
    ("ax.25", 93),
    ("cphb", 73),
    ("dccp", 33),
    ("ddp", 37),
    ("egp", 8),
    ("eigrp", 88),
    ("encap", 98),
    ("esp", 50),
    ("etherip", 97),
    ("ethernet", 143),
    ("fc", 133),
    ("ggp", 3),
    ("gre", 47),
    ("hip", 139),
    ("hmp", 20),
    ("icmp", 1),
    ("icmpv6", 58),
    ("idpr-cmtp", 38),
    ("idrp", 45),
    ("igmp", 2),
    ("igp", 9),
    ("ip-encap", 4),
    ("ipcomp", 108),
    ("ipencap", 4),
    ("ipip", 94),
    ("ipsec-ah", 51),
    ("ipsec-esp", 50),
    ("ipv6", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", 58),
    ("ipv6-mh", 135),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("isis", 124),
    ("iso-tp4", 29),
    ("l2tp", 115),
    ("manet", 138),
    ("mh", 135),
    ("mobility-header", 135),
    ("mpls-in-ip", 137),
    ("mptcp", 6),
    ("ospf", 89),
    ("ospfigp", 89),
    ("pim", 103),
    ("pup", 12),
    ("rdp", 27),
    ("rohc", 142),
    ("rspf", 73),
    ("rsvp", 46),
    ("sctp", 132),
    ("shim6", 140),
    ("skip", 57),
    ("st", 5),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vmtp", 81),
    ("vrrp", 112),
    ("wesp", 141),
    ("xns-idp", 22),
    ("xtp", 36),
];

/// Returns a protocol's number by its name, in whatever letters.
pub(super) fn number(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number)
}

/// Tells whether a word stands for every protocol.
pub(super) fn is_any(name: &str) -> bool {
    ["all", "ip", "hopopt", "0"].contains(&name.to_ascii_lowercase().as_str())
}
